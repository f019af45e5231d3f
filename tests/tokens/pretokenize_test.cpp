#include "tokens/pretokenize.h"

#include "support.h"
#include "tokens/unicode.h"

namespace qwen3guard::tokens {
namespace {

using Pieces = std::vector<std::string>;

Pieces cut(const std::string& text) {
  Pieces pieces;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = next_piece(text, at);
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

/// The same cuts by a PieceScanner that sees the text in chunks of whole characters.
Pieces cut_incrementally(const std::string& text, Random& random) {
  Pieces pieces;
  std::size_t begin = 0, arrived = 0;
  PieceScanner scanner;
  const auto take = [&](std::size_t size) {
    pieces.push_back(text.substr(begin, size));
    begin += size;
    scanner = PieceScanner();
  };
  while (arrived < text.size()) {
    do {
      ++arrived;
    } while (arrived < text.size() && (is_continuation(text[arrived]) || below(random, 3) == 0));
    while (const auto end = scanner.scan(std::string_view(text).substr(
               begin + scanner.scanned(), arrived - begin - scanner.scanned()))) {
      take(*end);
    }
    EXPECT_LE(scanner.committed(), scanner.if_ended());
    EXPECT_LE(scanner.if_ended(), scanner.scanned());
  }
  while (begin < text.size()) {
    const auto end = scanner.scan(std::string_view(text).substr(begin + scanner.scanned()));
    take(end ? *end : scanner.if_ended());
  }
  return pieces;
}

/// The expression, alternative by alternative, with its backtracking spelled out.
class Oracle {
 public:
  explicit Oracle(const std::string& text) {
    for (const char* p = text.data(); p < text.data() + text.size();) {
      begin_.push_back(static_cast<std::size_t>(p - text.data()));
      codes_.push_back(decode_utf8(p));
    }
    begin_.push_back(text.size());
  }
  Pieces cut(const std::string& text) const {
    Pieces pieces;
    for (std::size_t at = 0; at < codes_.size();) {
      const std::size_t end = match(at);
      pieces.push_back(text.substr(begin_[at], begin_[end] - begin_[at]));
      at = end;
    }
    return pieces;
  }

 private:
  bool is(std::size_t i, CharClass c) const {
    return i < codes_.size() && UnicodeTable::instance()[codes_[i]].char_class() == c;
  }
  bool newline(std::size_t i) const {
    return i < codes_.size() && (codes_[i] == '\r' || codes_[i] == '\n');
  }
  std::size_t run(std::size_t i, CharClass c) const {
    while (is(i, c)) ++i;
    return i;
  }
  std::size_t match(std::size_t at) const {
    for (const std::string_view word : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      std::size_t i = 0;
      while (i < word.size() && at + i < codes_.size() &&
             contraction_letter(codes_[at + i]) == word[i]) {
        ++i;
      }
      if (i == word.size()) return at + i;
    }
    const bool lead = !newline(at) && !is(at, CharClass::kLetter) && !is(at, CharClass::kNumber);
    if (lead && is(at + 1, CharClass::kLetter)) return run(at + 1, CharClass::kLetter);
    if (is(at, CharClass::kLetter)) return run(at, CharClass::kLetter);
    if (is(at, CharClass::kNumber)) return at + 1;
    const std::size_t other = codes_[at] == ' ' ? at + 1 : at;
    if (is(other, CharClass::kOther)) {
      std::size_t end = run(other, CharClass::kOther);
      while (newline(end)) ++end;
      return end;
    }
    const std::size_t white = run(at, CharClass::kSpace);
    for (std::size_t end = white; end > at; --end) {
      if (newline(end - 1)) return end;
    }
    for (std::size_t end = white; end > at; --end) {
      if (end == codes_.size() || is(end, CharClass::kSpace)) return end;
    }
    return white;
  }

  std::vector<char32_t> codes_;
  std::vector<std::size_t> begin_;
};

TEST(Pretokenize, Examples) {
  EXPECT_EQ(cut("It's 42 o'clock"), (Pieces{"It", "'s", " ", "4", "2", " o", "'clock"}));
  EXPECT_EQ(cut("I'LL WE'VE"), (Pieces{"I", "'LL", " WE", "'VE"}));
  EXPECT_EQ(cut("a'\u017f"), (Pieces{"a", "'\u017f"}));
  EXPECT_EQ(cut("a  b"), (Pieces{"a", " ", " b"}));
  EXPECT_EQ(cut("a  \n b"), (Pieces{"a", "  \n", " b"}));
  EXPECT_EQ(cut("a \n \n  "), (Pieces{"a", " \n \n", "  "}));
  EXPECT_EQ(cut("bomb?\n\nx"), (Pieces{"bomb", "?\n\n", "x"}));
  EXPECT_EQ(cut("\tx\t\ty"), (Pieces{"\tx", "\t", "\ty"}));
  EXPECT_EQ(cut(" !? \u4f60\u597d\uff01"), (Pieces{" !?", " \u4f60\u597d", "\uff01"}));
}

TEST(Pretokenize, EqualsTheExpressionAlternativeByAlternative) {
  Random random(5);
  for (int i = 0; i < 60'000; ++i) {
    const std::string text = random_text(random, 1 + below(random, 14));
    const Pieces expected = Oracle(text).cut(text);
    ASSERT_EQ(cut(text), expected) << testing::PrintToString(text);
    ASSERT_EQ(cut_incrementally(text, random), expected) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace qwen3guard::tokens
