#include "bytes/quote.h"

#include <gtest/gtest.h>

namespace qwen3guard::bytes {
namespace {

TEST(Utf8, AcceptsWellFormedText) {
  for (const char* text : {"", "plain", "h\u00e9llo", "\u4f60\u597d", "\U0001F600",
                           "\uD7FF\uE000\uFFFF", "\U0010FFFF", "12345678\u00e9", "1234567\u00e9"}) {
    EXPECT_FALSE(find_invalid_utf8(text)) << text;
  }
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(find_invalid_utf8("\x80"), 0u);                  // continuation without a start
  EXPECT_EQ(find_invalid_utf8("abc\xC3"), 3u);               // cut short
  EXPECT_EQ(find_invalid_utf8("abcdefgh\xE4\xBD"), 8u);      // cut short after a fast step
  EXPECT_EQ(find_invalid_utf8("\xC0\xAF"), 0u);              // overlong
  EXPECT_EQ(find_invalid_utf8("\xE0\x80\xAF"), 0u);          // overlong
  EXPECT_EQ(find_invalid_utf8("\xF0\x80\x80\xAF"), 0u);      // overlong
  EXPECT_EQ(find_invalid_utf8("\xED\xA0\x80"), 0u);          // surrogate
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0u);      // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("\xF8\x88\x80\x80\x80"), 0u);  // five bytes
  EXPECT_EQ(find_invalid_utf8("\xE4\xBD\xA0\xE4\x41"), 3u);  // a start, then ASCII
}

TEST(Quote, IsValidUtf8OnOneLine) {
  EXPECT_EQ(quote("a\nb\xFF\x7F\u00e9"), "'a\\x0ab\\xff\\x7f\u00e9'");
  EXPECT_EQ(quote(std::string_view("\0", 1)), "'\\x00'");
}

TEST(Quote, CutsLongTextBetweenCharacters) {
  EXPECT_EQ(quote("\u00e9\u00e9\u00e9", 3), "'\u00e9\u00e9…'");
  EXPECT_EQ(quote("abc", 3), "'abc'");
}

TEST(ByteCount, SeparatesThousands) {
  EXPECT_EQ(byte_count(1), "1 byte");
  EXPECT_EQ(byte_count(999), "999 bytes");
  EXPECT_EQ(byte_count(1234567), "1,234,567 bytes");
}

}  // namespace
}  // namespace qwen3guard::bytes
