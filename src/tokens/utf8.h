// UTF-8: refusing what is wrong, and decoding where it is known to be right.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "bytes/utf8.h"
#include "qwen3guard/result.h"

namespace qwen3guard::tokens {

using bytes::is_continuation;

/// kInvalidUtf8 that names the byte, counted from the start of `text` plus `base`.
Status check_utf8(std::string_view text, std::size_t base = 0);

/// How many bytes at the end of `text` are the beginning of a character that is not complete (0 to
/// 3). The rest may still be ill-formed.
std::size_t incomplete_utf8_tail(std::string_view text);

/// Bytes of the character whose first byte is `lead`. REQUIRES: `lead` begins a well-formed
/// character.
inline std::size_t utf8_size(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Decodes the character at `p` and advances `p` past it. REQUIRES: well-formed UTF-8.
inline char32_t decode_utf8(const char*& p) {
  const auto at = [&p](int i) { return static_cast<char32_t>(static_cast<unsigned char>(p[i])); };
  const char32_t lead = at(0);
  if (lead < 0x80) {
    p += 1;
    return lead;
  }
  if (lead < 0xE0) {
    const char32_t code = (lead & 0x1Fu) << 6 | (at(1) & 0x3Fu);
    p += 2;
    return code;
  }
  if (lead < 0xF0) {
    const char32_t code = (lead & 0x0Fu) << 12 | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
    p += 3;
    return code;
  }
  const char32_t code =
      (lead & 0x07u) << 18 | (at(1) & 0x3Fu) << 12 | (at(2) & 0x3Fu) << 6 | (at(3) & 0x3Fu);
  p += 4;
  return code;
}

/// Appends `code`. REQUIRES: a Unicode scalar value.
void append_utf8(std::string& text, char32_t code);

}  // namespace qwen3guard::tokens
