// A text in pieces gives what the text in one piece gives, whatever the vocabulary, the text and
// the cuts. The input: a byte with the number of merges, two bytes for each (which known strings it
// joins), two bytes that seed the cuts, a byte that splits the rest into template (with added
// tokens) and content, and the text.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bytes/utf8.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/text_stream.h"
#include "tokens/utf8.h"

namespace {

using namespace qwen3guard::tokens;
using qwen3guard::Result;

void require(bool condition) {
  if (!condition) std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  unsigned byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::string rest() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

std::shared_ptr<const BpeTokenizer> make_tokenizer(Input& input) {
  TokenizerSpec spec;
  std::vector<std::string> strings = {"a", "b", " ", "\n", "\xe4", "\xbd", "\xa0", "!"};
  std::vector<std::string> known = strings;
  for (int byte = 0; byte < 256; ++byte) {
    spec.bpe.tokens.push_back({byte, std::string(1, static_cast<char>(byte))});
  }
  for (unsigned merges = input.byte() % 32; merges > 0; --merges) {
    const std::string left = strings[input.byte() % strings.size()];
    const std::string right = strings[input.byte() % strings.size()];
    if (left.size() + right.size() > 64) continue;
    const bool again = std::any_of(
        spec.bpe.merges.begin(), spec.bpe.merges.end(),
        [&](const BpeSpec::Merge& merge) { return merge.left == left && merge.right == right; });
    if (again) continue;
    spec.bpe.merges.push_back({left, right});
    if (std::find(strings.begin(), strings.end(), left + right) != strings.end()) continue;
    strings.push_back(left + right);
    spec.bpe.tokens.push_back({static_cast<TokenId>(spec.bpe.tokens.size()), left + right});
  }
  spec.added.push_back({1000, "<e>"});
  spec.added.push_back({1001, "<e>>"});
  auto tokenizer = BpeTokenizer::create(std::move(spec));
  require(tokenizer.ok());
  return std::move(tokenizer).value();
}

void extend(Encoding& all, const Encoding& more) {
  all.ids.insert(all.ids.end(), more.ids.begin(), more.ids.end());
  all.offsets.insert(all.offsets.end(), more.offsets.begin(), more.offsets.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto tokenizer = make_tokenizer(input);
  unsigned cuts = input.byte() << 8 | input.byte();
  const std::size_t template_size = input.byte();
  const std::string text = input.rest();

  RenderedText whole{text, {}};
  const std::size_t split = std::min(template_size, text.size());
  for (std::size_t at = text.find("<e>"); at < split; at = text.find("<e>", at + 3)) {
    const std::size_t end = at + (text.substr(at, 4) == "<e>>" ? 4 : 3);
    if (end <= split) whole.control.push_back({at, end});
  }
  const auto expected = tokenizer->encode(whole);

  const RenderedText prefix{text.substr(0, split), whole.control};
  auto stream = TextStream::open(tokenizer, prefix);
  if (!stream.ok()) {
    // The prefix alone may end inside a character that the content completes.
    require(qwen3guard::bytes::find_invalid_utf8(prefix.text).has_value());
    return 0;
  }
  Encoding all;
  bool failed = false;
  for (std::size_t at = split; at < text.size() && !failed;) {
    cuts = cuts * 1103515245u + 12345u;
    const std::size_t piece = std::min<std::size_t>(1 + (cuts >> 16) % 7, text.size() - at);
    const auto stable = stream->append(std::string_view(text).substr(at, piece));
    at += piece;
    failed = !stable.ok();
    if (failed) break;
    extend(all, *stable);
    require(stream->stable_bytes() <= at);
    const auto provisional = stream->provisional();
    require(provisional.ok());
    if (expected.ok() && at <= 512) {
      const std::string so_far = text.substr(0, at);
      const auto if_ended = tokenizer->encode(
          RenderedText{so_far.substr(0, at - incomplete_utf8_tail(so_far)), whole.control});
      Encoding now = all;
      extend(now, *provisional);
      require(if_ended.ok() && now.ids == if_ended->ids && now.offsets == if_ended->offsets);
    }
  }
  if (!failed) {
    const auto last = stream->finish({});
    failed = !last.ok();
    if (!failed) extend(all, *last);
  }
  require(failed == !expected.ok());
  if (!failed) require(all.ids == expected->ids && all.offsets == expected->offsets);
  return 0;
}
