#include "bytes/utf8.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace qwen3guard::bytes {
namespace {

TEST(Utf8, AcceptsWellFormedText) {
  for (const char* text :
       {"", "plain", "h\u00e9llo", "\u4f60\u597d", "\U0001F600", "a\u00e9\u4f60\U0001F600",
        "\uD7FF\uE000\uFFFF", "\U0010FFFF", "12345678\u00e9", "1234567\u00e9"}) {
    EXPECT_FALSE(find_invalid_utf8(text)) << text;
  }
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(find_invalid_utf8("\x80"), 0u) << "continuation without a start";
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2u);
  EXPECT_EQ(find_invalid_utf8("abc\xC3"), 3u) << "cut short";
  EXPECT_EQ(find_invalid_utf8("\u00e9\xe4\xbd"), 2u) << "cut short";
  EXPECT_EQ(find_invalid_utf8("abcdefgh\xE4\xBD"), 8u) << "cut short";
  EXPECT_EQ(find_invalid_utf8("\xC0\xAF"), 0u) << "overlong";
  EXPECT_EQ(find_invalid_utf8("ab\xc0\x80"), 2u) << "overlong";
  EXPECT_EQ(find_invalid_utf8("\xE0\x80\xAF"), 0u) << "overlong";
  EXPECT_EQ(find_invalid_utf8("\xF0\x80\x80\xAF"), 0u) << "overlong";
  EXPECT_EQ(find_invalid_utf8("\xED\xA0\x80"), 0u) << "a surrogate";
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0u) << "past U+10FFFF";
  EXPECT_EQ(find_invalid_utf8("\xF8\x88\x80\x80\x80"), 0u) << "five bytes";
  EXPECT_EQ(find_invalid_utf8("\xE4\xBD\xA0\xE4\x41"), 3u) << "a start, then ASCII";
}

TEST(Utf8, SizesCharactersThatAreNotCompleteYet) {
  EXPECT_EQ(utf8_character_size("ab"), 1u);
  EXPECT_EQ(utf8_character_size("\xe4"), 3u);
  EXPECT_EQ(utf8_character_size("\xf0\x9f"), 4u);
  EXPECT_EQ(utf8_character_size("\xe4\x41"), 0u) << "no continuation";
  EXPECT_EQ(utf8_character_size("\xed\xa0"), 0u) << "can only become a surrogate";
  EXPECT_EQ(utf8_character_size("\x80"), 0u);
}

// Whole texts are checked at once by a library, the place of an error by our own walk.
TEST(Utf8, TheWalkAgreesWithTheCheckOfTheWhole) {
  std::mt19937 random(13);
  const std::string_view bytes = "ab\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xe0\xed\xef\xf0\xf4\xf5";
  std::uniform_int_distribution<std::size_t> pick(0, bytes.size() - 1), length(0, 8);
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    for (std::size_t n = length(random); n > 0; --n) text += bytes[pick(random)];
    std::optional<std::size_t> bad;
    for (std::size_t at = 0; at < text.size() && !bad;) {
      const std::size_t size = utf8_character_size(std::string_view(text).substr(at));
      if (size == 0 || size > text.size() - at) bad = at;
      at += size;
    }
    ASSERT_EQ(find_invalid_utf8(text), bad) << ::testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace qwen3guard::bytes
