// A file of rules, then a request, parted by a zero byte: either an error, or rules of which the
// one found matches. The pattern matcher agrees with a plain table.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "gateway/rules.h"

namespace {

using namespace qwen3guard;
using namespace qwen3guard::gateway;

void require(bool condition) {
  if (!condition) std::abort();
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Which beginnings of `text` the pattern so far can take, one row of the table at a time.
bool matches_by_table(std::string_view pattern, std::string_view text) {
  std::vector<char> reached(text.size() + 1, 0);
  reached[0] = 1;
  for (const char c : pattern) {
    std::vector<char> next(text.size() + 1, 0);
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (c == '*') {
        next[i] = reached[i] || (i > 0 && next[i - 1]);
      } else if (i > 0) {
        next[i] = reached[i - 1] && lower(c) == lower(text[i - 1]);
      }
    }
    reached = std::move(next);
  }
  return reached[text.size()];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view file = input.substr(0, input.find('\0'));
  const std::string_view request = input.substr(std::min(size, file.size() + 1));
  if (request.size() <= 256) {
    const std::string_view pattern = request.substr(0, request.find('\n'));
    const std::string_view text = request.substr(std::min(request.size(), pattern.size() + 1));
    require(matches_pattern(pattern, text) == matches_by_table(pattern, text));
  }

  const auto rules = Rules::parse(file);
  if (!rules.ok()) return 0;
  const std::vector<server::Header> headers = {{"x-audience", std::string(request.substr(0, 64))}};
  const RuleSubject subject{request, request, request, headers};
  const Rule* found = rules->find(subject);
  if (found == nullptr) return 0;
  require(found->matches(subject));
  // What could not be taken back is never sent.
  const AnswerOptions options = found->applied_to({});
  require(options.on_flag != OnFlag::kRollBack || options.filter.mode == ResponseMode::kHold);
  return 0;
}
