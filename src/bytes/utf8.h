// UTF-8: where it is wrong, and how long its characters are.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace qwen3guard::bytes {

/// The first byte of the first ill-formed sequence (overlong forms, surrogates, values past
/// U+10FFFF and sequences cut short included); nothing if `text` is UTF-8.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// Bytes of the character at the start of `text`, or 0 if no character begins like this. More than
/// `text` has if it ends inside the character; what is there then agrees with some character.
/// REQUIRES: `text` is not empty.
std::size_t utf8_character_size(std::string_view text);

inline bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u;
}

}  // namespace qwen3guard::bytes
