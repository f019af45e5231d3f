#include "bytes/quote.h"

#include <gtest/gtest.h>

namespace qwen3guard::bytes {
namespace {

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
