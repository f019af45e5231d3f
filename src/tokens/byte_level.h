// What the formats of tokenizer files share: byte-level spelling, merges, and how a tokenizer of
// another kind is refused.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "qwen3guard/result.h"
#include "tokens/bpe.h"

namespace qwen3guard::tokens {

/// kUnsupported: "where: expected what …, found found".
Error foreign_tokenizer(std::string_view where, std::string_view what, std::string_view found);

/// The printable stand-ins that byte-level tokenizers write for bytes: printable Latin-1 characters
/// are themselves, the other bytes follow from U+0100 on.
class ByteAlphabet {
 public:
  ByteAlphabet();
  /// The bytes that `spelled` stands for; nothing if it holds a character outside the alphabet.
  /// REQUIRES: UTF-8.
  std::optional<std::string> bytes(std::string_view spelled) const;
  /// The inverse.
  std::string spelled(std::string_view bytes) const;

 private:
  std::array<char32_t, 256> character_{};
  std::array<int, 256 + 68> byte_{};  // -1: not in the alphabet
};

/// Appends merges to a BpeSpec. Errors name the merge by its place in the list: kUnsupported
/// (another spelling, more than kMaxMerges), kCorruptFile (not two tokens). REQUIRES: UTF-8.
class MergeReader {
 public:
  MergeReader(const ByteAlphabet& alphabet, BpeSpec& spec) : alphabet_(alphabet), spec_(spec) {}
  Status add(std::string_view left, std::string_view right);
  /// "left right", as in merges.txt.
  Status add_line(std::string_view line);

 private:
  const ByteAlphabet& alphabet_;
  BpeSpec& spec_;
};

}  // namespace qwen3guard::tokens
