#include "server/request_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace qwen3guard::server {

std::string random_id(std::string_view prefix) {
  std::array<unsigned char, 16> bits;
  // So few bytes come at once, or never (a kernel without the call).
  QG_CHECK(::getrandom(bits.data(), bits.size(), 0) == static_cast<ssize_t>(bits.size()));
  std::string id(prefix);
  for (const unsigned char byte : bits) {
    id += "0123456789abcdef"[byte >> 4];
    id += "0123456789abcdef"[byte & 15];
  }
  return id;
}

std::string request_id(std::string_view given) {
  const bool fit =
      !given.empty() && given.size() <= 128 && std::all_of(given.begin(), given.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '_' || c == '-';
      });
  return fit ? std::string(given) : random_id("req-");
}

}  // namespace qwen3guard::server
