#include "tokens/pretokenize.h"

#include <array>

#include "tokens/unicode.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {
namespace {

constexpr CharClass ascii_class(unsigned char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return CharClass::kLetter;
  if (c >= '0' && c <= '9') return CharClass::kNumber;
  if (c == ' ' || (c >= '\t' && c <= '\r')) return CharClass::kSpace;
  return CharClass::kOther;
}

constexpr auto kAscii = [] {
  std::array<CharClass, 128> table{};
  for (unsigned c = 0; c < 128; ++c) table[c] = ascii_class(static_cast<unsigned char>(c));
  return table;
}();

bool is_newline(char c) { return c == '\n' || c == '\r'; }

/// Reads classes one character at a time.
class Reader {
 public:
  Reader(std::string_view text, std::size_t begin)
      : begin_(text.data()), p_(begin_ + begin), end_(begin_ + text.size()) {}

  bool done() const { return p_ == end_; }
  char peek_byte() const { return *p_; }
  const char* here() const { return p_; }
  void go(const char* p) { p_ = p; }
  std::size_t position() const { return static_cast<std::size_t>(p_ - begin_); }

  /// Class of the next character; advances past it. REQUIRES: !done().
  CharClass take() {
    const auto byte = static_cast<unsigned char>(*p_);
    if (byte < 0x80) {
      ++p_;
      return kAscii[byte];
    }
    return table_[decode_utf8(p_)].char_class();
  }

  char32_t take_code() { return decode_utf8(p_); }

  /// Advances over the run of `wanted`.
  void skip(CharClass wanted) {
    while (p_ != end_) {
      const char* const before = p_;
      if (take() != wanted) {
        p_ = before;
        return;
      }
    }
  }
  void skip_newlines() {
    while (p_ != end_ && is_newline(*p_)) ++p_;
  }
  bool at(CharClass wanted) const {
    if (p_ == end_) return false;
    Reader copy = *this;
    return copy.take() == wanted;
  }

 private:
  const UnicodeTable& table_ = UnicodeTable::instance();
  const char* begin_;
  const char* p_;
  const char* end_;
};

/// What follows the apostrophe of a contraction: is `second` enough, or which letter must come
/// third? 0: no contraction begins like this; the same letter as `second`... see the callers.
enum class AfterApostrophe { kNothing, kComplete, kNeedsE, kNeedsL };
AfterApostrophe after_apostrophe(char second) {
  switch (second) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return AfterApostrophe::kComplete;
    case 'r':
    case 'v':
      return AfterApostrophe::kNeedsE;
    case 'l':
      return AfterApostrophe::kNeedsL;
    default:
      return AfterApostrophe::kNothing;
  }
}
char needed_third(AfterApostrophe after) { return after == AfterApostrophe::kNeedsE ? 'e' : 'l'; }

/// Moves `reader`, just past an apostrophe, to the end of the contraction; false if there is none.
bool take_contraction(Reader& reader) {
  if (reader.done()) return false;
  const char* const begin = reader.here();
  const AfterApostrophe after = after_apostrophe(contraction_letter(reader.take_code()));
  if (after == AfterApostrophe::kComplete) return true;
  if (after != AfterApostrophe::kNothing && !reader.done() &&
      contraction_letter(reader.take_code()) == needed_third(after)) {
    return true;
  }
  reader.go(begin);
  return false;
}

/// The three alternatives for white space; `reader` is past the first character of the run, which
/// is `first` (its position in the text).
std::size_t white_space_end(Reader& reader, std::size_t first, std::string_view text) {
  std::size_t newline_end = is_newline(text[first]) ? first + 1 : 0;
  std::size_t last = first;
  while (!reader.done()) {
    const char* const before = reader.here();
    const std::size_t position = reader.position();
    if (reader.take() != CharClass::kSpace) {
      reader.go(before);
      break;
    }
    last = position;
    if (is_newline(*before)) newline_end = position + 1;
  }
  if (newline_end != 0) return newline_end;                      // \s*[\r\n]+
  if (reader.done() || last == first) return reader.position();  // \s+(?!\S) at the end; \s+
  return last;                                                   // \s+(?!\S) gives one back
}

}  // namespace

std::size_t next_piece(std::string_view text, std::size_t begin) {
  Reader reader(text, begin);
  const char first = reader.peek_byte();
  const CharClass first_class = reader.take();
  switch (first_class) {
    case CharClass::kLetter:
      reader.skip(CharClass::kLetter);
      return reader.position();
    case CharClass::kNumber:
      return reader.position();
    case CharClass::kOther:
      if (first == '\'' && take_contraction(reader)) return reader.position();
      if (reader.at(CharClass::kLetter)) {
        reader.skip(CharClass::kLetter);
        return reader.position();
      }
      reader.skip(CharClass::kOther);
      reader.skip_newlines();
      return reader.position();
    case CharClass::kSpace:
      break;
  }
  if (!is_newline(first) && reader.at(CharClass::kLetter)) {
    reader.skip(CharClass::kLetter);
    return reader.position();
  }
  if (first == ' ' && reader.at(CharClass::kOther)) {
    reader.skip(CharClass::kOther);
    reader.skip_newlines();
    return reader.position();
  }
  return white_space_end(reader, begin, text);
}

std::optional<std::size_t> PieceScanner::scan(std::string_view text) {
  const std::size_t base = position_;
  Reader reader(text, 0);
  while (!reader.done()) {
    const char byte = reader.peek_byte();
    const bool newline = is_newline(byte);
    const std::size_t before = position_;
    const char* const here = reader.here();
    const CharClass c = reader.take();
    position_ = base + reader.position();
    const auto white = [&](std::size_t size) {
      kind_ = newline ? Kind::kWhiteNewline : Kind::kWhite;
      if (newline) newline_end_ = position_;
      last_size_ = size;
    };
    switch (kind_) {
      case Kind::kStart:
        if (c == CharClass::kNumber) return position_;
        if (c == CharClass::kLetter) {
          kind_ = Kind::kLetters;
        } else if (newline) {
          white(1);
        } else {
          kind_ = byte == ' ' ? Kind::kSpace : byte == '\'' ? Kind::kApostrophe : Kind::kLead;
          lead_is_white_ = c == CharClass::kSpace;
          last_size_ = position_;
        }
        break;
      case Kind::kApostrophe: {
        Reader again = reader;
        again.go(here);
        second_ = contraction_letter(again.take_code());
        const AfterApostrophe after = after_apostrophe(second_);
        if (after == AfterApostrophe::kComplete) return position_;
        if (after != AfterApostrophe::kNothing) {
          kind_ = Kind::kContraction;
          break;
        }
        [[fallthrough]];
      }
      case Kind::kSpace:
      case Kind::kLead:
        if (c == CharClass::kLetter) {
          kind_ = Kind::kLetters;
        } else if (kind_ != Kind::kSpace && lead_is_white_) {
          if (c != CharClass::kSpace) return before;
          white(position_ - before);
        } else if (kind_ == Kind::kSpace && c == CharClass::kSpace) {
          white(position_ - before);
        } else if (c == CharClass::kOther) {
          kind_ = Kind::kOther;
        } else if (kind_ != Kind::kSpace && newline) {
          kind_ = Kind::kOtherNewlines;
        } else {
          return before;
        }
        break;
      case Kind::kContraction: {
        Reader again = reader;
        again.go(here);
        if (contraction_letter(again.take_code()) == needed_third(after_apostrophe(second_))) {
          return position_;
        }
        if (c != CharClass::kLetter) return before;
        kind_ = Kind::kLetters;
        break;
      }
      case Kind::kLetters:
        if (c != CharClass::kLetter) return before;
        break;
      case Kind::kOther:
        if (newline) {
          kind_ = Kind::kOtherNewlines;
        } else if (c != CharClass::kOther) {
          return before;
        }
        break;
      case Kind::kOtherNewlines:
        if (!newline) return before;
        break;
      case Kind::kWhite:
        if (c != CharClass::kSpace) return before - last_size_;
        white(position_ - before);
        break;
      case Kind::kWhiteNewline:
        if (c != CharClass::kSpace) return newline_end_;
        if (newline) newline_end_ = position_;
        break;
    }
  }
  return std::nullopt;
}

std::size_t PieceScanner::committed() const {
  if (kind_ == Kind::kWhite) return position_ - last_size_;
  if (kind_ == Kind::kWhiteNewline) return newline_end_;
  return position_;
}

std::size_t PieceScanner::if_ended() const {
  return kind_ == Kind::kWhiteNewline ? newline_end_ : position_;
}

}  // namespace qwen3guard::tokens
