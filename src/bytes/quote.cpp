#include "bytes/quote.h"

#include "bytes/utf8.h"

namespace qwen3guard::bytes {
namespace {

void append_escaped(std::string& out, unsigned char byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

}  // namespace

std::string quote(std::string_view text, std::size_t max_bytes) {
  std::string out = "'";
  std::size_t at = 0;
  while (at < text.size()) {
    if (at >= max_bytes) {
      out += "…";
      break;
    }
    const std::size_t length = utf8_character_size(text.substr(at));
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0 || length > text.size() - at || byte < 0x20 || byte == 0x7F) {
      append_escaped(out, byte);
      at += 1;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  return out += '\'';
}

std::string quote_path(const std::filesystem::path& path) { return quote(path.native(), 4096); }

std::string byte_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits + (count == 1 ? " byte" : " bytes");
}

}  // namespace qwen3guard::bytes
