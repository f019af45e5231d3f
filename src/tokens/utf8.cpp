#include "tokens/utf8.h"

#include <simdjson.h>

namespace qwen3guard::tokens {
namespace {

/// Bytes of the character at the start of `text`, or 0 if no character begins like this. `text` may
/// end inside it: then what is there agrees with some character.
std::size_t character_size(std::string_view text) {
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

}  // namespace

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  if (text.empty() || simdjson::validate_utf8(text.data(), text.size())) return std::nullopt;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = character_size(text.substr(i));
    if (size == 0 || size > text.size() - i) return i;
    i += size;
  }
  return std::nullopt;
}

Status check_utf8(std::string_view text, std::size_t base) {
  const auto bad = find_invalid_utf8(text);
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
    if (!is_continuation(tail[0])) return character_size(tail) > back ? back : 0;
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
