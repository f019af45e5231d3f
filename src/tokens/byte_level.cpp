#include "tokens/byte_level.h"

#include <utility>

#include "bytes/quote.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {

Error foreign_tokenizer(std::string_view where, std::string_view what, std::string_view found) {
  return {ErrorCode::kUnsupported, std::string(where) + ": expected " + std::string(what) +
                                       " (a Qwen2 or Qwen3 tokenizer), found " +
                                       std::string(found)};
}

ByteAlphabet::ByteAlphabet() {
  byte_.fill(-1);
  std::size_t next = 256;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const std::size_t character = printable ? byte : next++;
    character_[byte] = static_cast<char32_t>(character);
    byte_[character] = static_cast<int>(byte);
  }
}

std::optional<std::string> ByteAlphabet::bytes(std::string_view spelled) const {
  std::string out;
  out.reserve(spelled.size());
  for (const char* p = spelled.data(); p < spelled.data() + spelled.size();) {
    const char32_t code = decode_utf8(p);
    if (code >= byte_.size() || byte_[code] < 0) return std::nullopt;
    out.push_back(static_cast<char>(byte_[code]));
  }
  return out;
}

std::string ByteAlphabet::spelled(std::string_view bytes) const {
  std::string out;
  for (const char byte : bytes) append_utf8(out, character_[static_cast<unsigned char>(byte)]);
  return out;
}

Status MergeReader::add(std::string_view left, std::string_view right) {
  if (spec_.merges.size() >= kMaxMerges) {
    return Error{ErrorCode::kUnsupported, "merges: more than " + std::to_string(kMaxMerges)};
  }
  auto a = alphabet_.bytes(left), b = alphabet_.bytes(right);
  if (!a || !b) {
    return foreign_tokenizer("merge " + std::to_string(spec_.merges.size()), "byte-level spelling",
                             bytes::quote(a ? right : left));
  }
  spec_.merges.push_back({*std::move(a), *std::move(b)});
  return {};
}

Status MergeReader::add_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    return Error{ErrorCode::kCorruptFile, "merge " + std::to_string(spec_.merges.size()) +
                                              ": expected two tokens and one space, found " +
                                              bytes::quote(line)};
  }
  return add(line.substr(0, space), line.substr(space + 1));
}

}  // namespace qwen3guard::tokens
