#include "apps/terminal.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "apps/progress.h"
#include "formats/verdict_json.h"

namespace qwen3guard::apps {
namespace {

using formats::shortest;
using formats::to_line;

TEST(EscapeControls, LeavesTextAlone) {
  const std::string text = "Grüße, 世界 😀\n\ttabbed ‘quoted’ — é";
  EXPECT_EQ(escape_controls(text), text);
  EXPECT_EQ(escape_controls(""), "");
}

TEST(EscapeControls, DisarmsWhatATerminalObeys) {
  EXPECT_EQ(escape_controls("\x1b[2J\x1b]0;title\x07"), "\\x1b[2J\\x1b]0;title\\x07");
  EXPECT_EQ(escape_controls("over\rwrite\b\x7f"), "over\\x0dwrite\\x08\\x7f");
  EXPECT_EQ(escape_controls("\xc2\x9b"
                            "31m"),
            "\\u009b31m");  // CSI as one C1 character
  EXPECT_EQ(escape_controls(std::string("a\0b", 3)), "a\\x00b");
}

TEST(EscapeControls, ShowsWhatDisguises) {
  EXPECT_EQ(escape_controls("a\u202eb\u2066c\u200fd"), "a\\u202eb\\u2066c\\u200fd");
  EXPECT_EQ(escape_controls("\U000e0041"), "\\U000e0041");
}

TEST(EscapeControls, SurvivesBytesThatAreNotUtf8) {
  EXPECT_EQ(escape_controls("a\xff\xfe"
                            "b\xe4\xb8"),
            "a\\xff\\xfeb\\xe4\\xb8");
}

TEST(Palette, IsEmptyWithoutColour) {
  const Palette plain(false);
  EXPECT_TRUE(plain.text(Risk::kUnsafe).empty());
  EXPECT_TRUE(plain.reset().empty());
  EXPECT_FALSE(Palette(true).label(Risk::kControversial).empty());
}

TEST(ProgressLine, SaysHowFarHowFastAndWhatWasFound) {
  Tally tally;
  for (int i = 0; i < 5; ++i) tally.count(Risk::kSafe);
  tally.count(Risk::kControversial);
  tally.count(Risk::kUnsafe);
  tally.errors = 2;
  EXPECT_EQ(progress_line(tally, 0.5, 12.34, 3725),
            "[##########..........]  50%  9 conversations  12.3/s  1:02:05 left  safe 5  "
            "controversial 1  "
            "unsafe 1  errors 2");
  EXPECT_EQ(progress_line({}, std::nullopt, 0, std::nullopt),
            "0 conversations  0.0/s  safe 0  controversial 0  unsafe 0  errors 0");
}

TEST(Shortest, KeepsTheFloatAndNothingElse) {
  EXPECT_EQ(to_line(shortest(0.9f)), "0.9");
  EXPECT_EQ(static_cast<float>(shortest(0.123456789f)), 0.123456789f);
  EXPECT_EQ(to_line(shortest(1e-30f)), "1e-30");
}

}  // namespace
}  // namespace qwen3guard::apps
