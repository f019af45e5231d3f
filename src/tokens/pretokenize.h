// Cuts text into the pieces inside which merges may happen. Equal, match by match, to the
// Qwen2/Qwen3 expression kPretokenizerRegex with "isolated" behaviour; the classes are the
// reference engine's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qwen3guard::tokens {

inline constexpr std::string_view kPretokenizerRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// End of the piece that begins at `begin`, if the text ends where `text` ends.
/// REQUIRES: well-formed UTF-8, `begin` < text.size() and at the start of a piece.
std::size_t next_piece(std::string_view text, std::size_t begin);

/// Follows one piece while text keeps arriving. Positions are counted from the start of the piece
/// and stay valid when the caller throws away the piece's first bytes.
class PieceScanner {
 public:
  /// Looks at more of the piece: `text` continues at position scanned(). Returns the end of the
  /// piece once no later text can change it (the end may lie before scanned(): the rest begins
  /// other pieces). REQUIRES: whole characters; not called again after it has returned an end.
  std::optional<std::size_t> scan(std::string_view text);

  /// Bytes seen.
  std::size_t scanned() const { return position_; }
  /// The least that the piece can turn out to be, and what it is if the text ends here or goes on
  /// in the same way: every end that is still possible is committed(), or at least if_ended().
  std::size_t committed() const;
  std::size_t if_ended() const;

 private:
  enum class Kind : std::uint8_t {
    kStart,          // nothing seen
    kSpace,          // one ' '
    kLead,           // one other character that can lead letters: white space or not
    kApostrophe,     // '
    kContraction,    // 'r 'v 'l: the next letter decides
    kLetters,        // \p{L}+ has begun
    kOther,          // ` ?[^\s\p{L}\p{N}]+`
    kOtherNewlines,  // … with [\r\n]*
    kWhite,          // white space without newlines, two characters or more, or one after a cut
    kWhiteNewline,   // white space with newlines
  };
  Kind kind_ = Kind::kStart;
  bool lead_is_white_ = false;
  char second_ = 0;  // of a contraction, folded
  std::size_t position_ = 0;
  std::size_t last_size_ = 0;    // of the last character of kWhite
  std::size_t newline_end_ = 0;  // of the last newline of kWhiteNewline
};

}  // namespace qwen3guard::tokens
