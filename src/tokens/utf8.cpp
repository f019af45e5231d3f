#include "tokens/utf8.h"

namespace qwen3guard::tokens {

Status check_utf8(std::string_view text, std::size_t base) {
  const auto bad = bytes::find_invalid_utf8(text);
  if (!bad) return {};
  constexpr char kHex[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(text[*bad]);
  return Error{ErrorCode::kInvalidUtf8,
               "the text is not UTF-8: byte " + std::to_string(base + *bad) + " (0x" +
                   kHex[byte >> 4] + kHex[byte & 15] + ") begins no complete, valid character"};
}

std::size_t incomplete_utf8_tail(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::string_view tail = text.substr(text.size() - back);
    if (!is_continuation(tail[0])) return bytes::utf8_character_size(tail) > back ? back : 0;
  }
  return 0;
}

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&text](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0u | code >> 6);
    put(0x80u | (code & 0x3Fu));
  } else if (code < 0x10000) {
    put(0xE0u | code >> 12);
    put(0x80u | (code >> 6 & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  } else {
    put(0xF0u | code >> 18);
    put(0x80u | (code >> 12 & 0x3Fu));
    put(0x80u | (code >> 6 & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  }
}

}  // namespace qwen3guard::tokens
