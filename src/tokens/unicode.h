// What the reference tokenizer believes about each code point: class, normalization.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace qwen3guard::tokens {

enum class CharClass : std::uint8_t { kOther = 0, kLetter = 1, kNumber = 2, kSpace = 3 };

/// The properties of one code point, packed so that one load answers every question of the hot
/// loops.
class CharInfo {
 public:
  explicit constexpr CharInfo(std::uint16_t bits) : bits_(bits) {}

  CharClass char_class() const { return static_cast<CharClass>(bits_ & 3u); }
  /// Nothing before this character can combine with it or move past it: text can be normalised
  /// apart on either side of a position in front of it.
  bool nfc_boundary() const { return (bits_ & kBoundary) != 0; }
  /// Characters after this one can change it (e + acute) or be sorted before it.
  bool nfc_open() const { return (bits_ & kOpen) != 0; }
  /// NFC certainly or possibly rewrites it, alone or with what is before it.
  bool nfc_suspect() const { return (bits_ & kSuspect) != 0; }
  std::uint8_t combining_class() const { return static_cast<std::uint8_t>(bits_ >> 8); }

  static constexpr unsigned kBoundary = 4, kOpen = 8, kSuspect = 16;

 private:
  std::uint16_t bits_;
};

/// Two-stage table over all code points, built once from unicode_tables.inc. Immutable.
class UnicodeTable {
 public:
  static const UnicodeTable& instance();

  /// REQUIRES: code <= 0x10FFFF.
  CharInfo operator[](char32_t code) const {
    return CharInfo(cells_[static_cast<std::size_t>(block_[code >> 8]) << 8 | (code & 0xFFu)]);
  }

 private:
  UnicodeTable();
  std::vector<std::uint16_t> block_;
  std::vector<std::uint16_t> cells_;
};

/// Appends the full canonical decomposition of `code`.
void append_decomposition(std::vector<char32_t>& out, char32_t code);
/// The primary composite of the pair, 0 if there is none.
char32_t compose(char32_t first, char32_t second);
/// The ASCII letter that `code` stands for in the case-insensitive contractions ('ſ' is an s
/// there), or 0.
char contraction_letter(char32_t code);

}  // namespace qwen3guard::tokens
