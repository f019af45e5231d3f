#include "apps/line_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "program.h"

namespace qwen3guard::apps {
namespace {

std::vector<Line> read(const std::string& text, std::size_t limit = 1000) {
  const test::TemporaryDirectory directory;
  test::write_text(directory / "lines", text);
  auto reader = LineReader::open((directory / "lines").string(), limit);
  std::vector<Line> lines;
  while (true) {
    auto line = reader->next();
    if (!line.ok() || !*line) break;
    lines.push_back(**line);
  }
  return lines;
}

TEST(LineReader, SplitsAtNewlinesOnly) {
  const auto lines = read("a\n\nb\r\nc");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].text, "a");
  EXPECT_EQ(lines[1].text, "");
  EXPECT_EQ(lines[2].text, "b\r");
  EXPECT_EQ(lines[2].bytes, 3u);
  EXPECT_TRUE(lines[2].complete);
  EXPECT_EQ(lines[3].text, "c");
  EXPECT_FALSE(lines[3].complete);
}

TEST(LineReader, ANewlineAtTheEndBeginsNothing) {
  EXPECT_EQ(read("a\n").size(), 1u);
  EXPECT_EQ(read("a\n\n").size(), 2u);
  EXPECT_EQ(read("").size(), 0u);
  EXPECT_EQ(read("\n").size(), 1u);
}

TEST(LineReader, DropsWhatExceedsTheLimitAndGoesOn) {
  const auto lines = read(std::string(11, 'x') + "\nok\n" + std::string(10, 'y') + "\n", 10);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].too_long);
  EXPECT_TRUE(lines[0].text.empty());
  EXPECT_EQ(lines[0].bytes, 12u);
  EXPECT_EQ(lines[1].text, "ok");
  EXPECT_FALSE(lines[2].too_long);
  EXPECT_EQ(lines[2].text, std::string(10, 'y'));
}

TEST(LineReader, JoinsLinesThatSpanChunks) {
  const std::string big(600'000, 'z');
  const auto lines = read(big + "\n" + big, 1'000'000);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].text, big);
  EXPECT_EQ(lines[1].text, big);
}

TEST(LineReader, SaysWhyItCannotOpen) {
  const test::TemporaryDirectory directory;
  EXPECT_EQ(LineReader::open((directory / "none").string()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(LineReader::open((directory / "").string()).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace qwen3guard::apps
