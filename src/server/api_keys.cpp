#include "server/api_keys.h"

#include <algorithm>

#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/quote.h"

namespace qwen3guard::server {
namespace {

constexpr std::size_t kLeastBytes = 16;

bool equal_in_constant_time(std::string_view secret, std::string_view given) {
  unsigned char difference = secret.size() == given.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (secret[i % secret.size()] ^ given[i]));
  }
  return difference == 0;
}

std::string_view given_key(const Request& request) {
  std::string_view value = request.header("authorization");
  constexpr std::string_view kScheme = "bearer ";
  const bool bearer =
      value.size() > kScheme.size() &&
      std::equal(kScheme.begin(), kScheme.end(), value.begin(), [](char expected, char found) {
        return expected == (found >= 'A' && found <= 'Z' ? found - 'A' + 'a' : found);
      });
  if (!bearer) return request.header("x-api-key");
  value.remove_prefix(kScheme.size());
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

}  // namespace

Result<ApiKeys> ApiKeys::load(const std::filesystem::path& path) {
  QG_TRY(const std::string text, bytes::read_file(path, 1u << 20));
  auto keys = parse(text);
  if (!keys.ok())
    return std::move(keys).error().with_context("API keys " + bytes::quote_path(path));
  return keys;
}

Result<ApiKeys> ApiKeys::parse(std::string_view text) {
  ApiKeys keys;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == line.npos || line[first] == '#') continue;
    line = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);

    const auto invalid = [&](const char* what) {
      return Error{ErrorCode::kInvalidArgument, "line " + std::to_string(number) + ": " + what};
    };
    Key key;
    const std::size_t space = line.find_first_of(" \t");
    if (space == line.npos) {
      key = {"key-" + std::to_string(keys.keys_.size() + 1), std::string(line)};
    } else {
      key = {std::string(line.substr(0, space)),
             std::string(line.substr(line.find_first_not_of(" \t", space)))};
    }
    if (key.secret.size() < kLeastBytes) return invalid("a key has at least 16 characters");
    if (!std::all_of(key.secret.begin(), key.secret.end(),
                     [](char c) { return c > ' ' && c < 0x7f; })) {
      return invalid("expected KEY or NAME KEY, the key in visible ASCII characters");
    }
    for (const Key& other : keys.keys_) {
      if (other.secret == key.secret || other.name == key.name) {
        return invalid("this key or its name appears twice");
      }
    }
    keys.keys_.push_back(std::move(key));
  }
  if (keys.keys_.empty()) return Error{ErrorCode::kInvalidArgument, "the file has no key"};
  return keys;
}

std::optional<std::string> ApiKeys::client(const Request& request) const {
  if (keys_.empty()) return std::string();
  const std::string_view given = given_key(request);
  const Key* found = nullptr;
  for (const Key& key : keys_) {
    if (equal_in_constant_time(key.secret, given)) found = &key;
  }
  if (found == nullptr) return std::nullopt;
  return found->name;
}

}  // namespace qwen3guard::server
