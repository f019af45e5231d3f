#include "tokens/nfc.h"

#include "support.h"
#include "tokens/unicode.h"

namespace qwen3guard::tokens {
namespace {

std::string nfc(std::string_view text) {
  const Normalized normalized = normalize_nfc(text);
  return std::string(normalized.text(text));
}

TEST(Nfc, ComposesDecomposesAndSorts) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("\u212b"), "\u00c5") << "a singleton";
  EXPECT_EQ(nfc("a\u0301\u0323"), "\u1ea1\u0301") << "marks are sorted before they compose";
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c") << "a composition exclusion";
  EXPECT_EQ(nfc("\u1100\u1161\u11a8"), "\uac01") << "Hangul";
  EXPECT_EQ(nfc("\uac00\u11a8"), "\uac01");
  EXPECT_EQ(nfc("\u0301e"), "\u0301e") << "nothing before the mark";
  EXPECT_EQ(nfc("plain text, \u4f60\u597d"), "plain text, \u4f60\u597d");
}

TEST(Nfc, LeavesNormalTextUntouched) {
  EXPECT_TRUE(
      normalize_nfc("caf\u00e9 \u4f60\u597d \u0928\u092e\u0938\u094d\u0924\u0947").edits.empty());
}

TEST(Nfc, EditsSayWhereBytesCameFrom) {
  const std::string text = "xe\u0301y\u212bz";
  const Normalized normalized = normalize_nfc(text);
  ASSERT_EQ(normalized.edits.size(), 2u);
  const NfcEdit& first = normalized.edits[0];
  EXPECT_EQ(text.substr(first.source_begin, first.source_end - first.source_begin), "e\u0301");
  EXPECT_EQ(normalized.storage.substr(first.norm_begin, first.norm_end - first.norm_begin),
            "\u00e9");
  const NfcEdit& second = normalized.edits[1];
  EXPECT_EQ(text.substr(second.source_begin, second.source_end - second.source_begin), "\u212b");
  EXPECT_EQ(second.norm_begin - first.norm_end, second.source_begin - first.source_end);
}

TEST(Nfc, IsIdempotentAndCutsWhereItSaysItMay) {
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = random_text(random, 1 + below(random, 12));
    const std::string once = nfc(text);
    ASSERT_EQ(nfc(once), once);
    const std::size_t stable = nfc_stable_prefix(text, 0);
    const std::string more = text + random_text(random, 1 + below(random, 4));
    ASSERT_EQ(nfc(more), nfc(more.substr(0, stable)) + nfc(more.substr(stable))) << text;
  }
}

TEST(Nfc, OneMegabyteOfMarks) {
  std::string text = "a";
  for (int i = 0; i < 250'000; ++i) text += "\u0323\u0301";
  EXPECT_EQ(nfc(nfc(text)), nfc(text));
}

TEST(Utf8, IncompleteTail) {
  const std::string text = "a\U0001F600";
  EXPECT_EQ(incomplete_utf8_tail(text), 0u);
  EXPECT_EQ(incomplete_utf8_tail(text.substr(0, 4)), 3u);
  EXPECT_EQ(incomplete_utf8_tail(text.substr(0, 3)), 2u);
  EXPECT_EQ(incomplete_utf8_tail(text.substr(0, 2)), 1u);
  EXPECT_EQ(incomplete_utf8_tail(text.substr(0, 1)), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\x80\x80\x80\x80"), 0u) << "ill-formed, not incomplete";
}

}  // namespace
}  // namespace qwen3guard::tokens
