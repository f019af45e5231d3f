#include "bytes/utf8.h"

#include <simdjson.h>

namespace qwen3guard::bytes {

std::size_t utf8_character_size(std::string_view text) {
  const auto at = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead < 0xC2   ? 0
                           : lead < 0xE0 ? 2
                           : lead < 0xF0 ? 3
                           : lead < 0xF5 ? 4
                                         : 0;
  for (std::size_t i = 1; i < size && i < text.size(); ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  if (size < 3 || text.size() < 2) return size;
  const unsigned second = at(1);
  const bool overlong_or_outside =
      (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
  return overlong_or_outside ? 0 : size;
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  if (text.empty() || simdjson::validate_utf8(text.data(), text.size())) return std::nullopt;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = utf8_character_size(text.substr(i));
    if (size == 0 || size > text.size() - i) return i;
    i += size;
  }
  return std::nullopt;
}

}  // namespace qwen3guard::bytes
