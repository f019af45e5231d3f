#include "dataset/labelled_reader.h"

#include "dataset/dataset_index.h"
#include "support.h"

namespace qwen3guard::dataset {
namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(LabelledReader, ReadsPlainAndCompressedAlike) {
  const auto folder = test_folder();
  // One line is longer than the read buffer.
  const std::string text = row("1") + "\n" + row("2", std::string(200000, 'x'), "\"Unsafe\"") +
                           "\n" + row("3", "你好", "null") + "\n";
  write_text(folder / "a.jsonl", text);
  write_gz(folder / "a.jsonl.gz", text);
  for (const char* name : {"a.jsonl", "a.jsonl.gz"}) {
    std::vector<LabelledConversation> rows;
    const auto count = for_each_row(folder / name, [&](LabelledConversation r) -> Status {
      rows.push_back(std::move(r));
      return {};
    });
    ASSERT_TRUE(count.ok()) << count.error().message;
    EXPECT_EQ(*count, 3U);
    EXPECT_EQ(rows[1].messages.back().content.size(), 200000U);
    EXPECT_EQ(rows[1].label, Risk::kUnsafe);
    EXPECT_FALSE(rows[2].label.has_value());
    EXPECT_EQ(rows[2].messages.back().content, "你好");
  }
}

TEST(LabelledReader, LastLineNeedsNoNewline) {
  const auto folder = test_folder();
  write_text(folder / "a.jsonl", row("1") + "\n" + row("2"));
  const auto count =
      for_each_row(folder / "a.jsonl", [](LabelledConversation) { return Status(); });
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(*count, 2U);
}

TEST(LabelledReader, ErrorsNameFileAndLine) {
  const auto folder = test_folder();
  const std::string good = row("1");
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"{", ""},
      {"[1]", "object"},
      {"", "empty line"},
      {replaced(good, "\"id\": \"1\", ", ""), "\"id\""},
      {replaced(good, "\"prompt\"", "\"answer\""), "\"target\""},
      {replaced(good, "\"prompt\"", "\"response\""), "\"target\""},
      {replaced(good, "\"Safe\"", "\"safe\""), "\"label\""},
      {replaced(good, "\"label\": \"Safe\", ", ""), "\"label\""},
      {replaced(good, "\"role\": \"user\"", "\"role\": \"tool\""), "\"role\""},
      {replaced(good, "\"content\": \"hello\"", "\"content\": 3"), "\"content\""},
      {replaced(good, "[\"a\"]", "\"a\""), "\"categories\""},
      {replaced(good, "\"unsafe_span\": null", "\"unsafe_span\": [3, 2]"), "\"unsafe_span\""},
      {replaced(good, "\"unsafe_span\": null", "\"unsafe_span\": [-1, 2]"), "\"unsafe_span\""},
      {replaced(good, "\"split\": \"train\"", "\"split\": \"dev\""), "\"split\""},
      {replaced(good, "\"refusal\": null", "\"refusal\": \"no\""), "\"refusal\""},
  };
  for (const auto& [line, field] : bad) {
    write_text(folder / "bad.jsonl", good + "\n" + line + "\n" + good + "\n");
    const auto count =
        for_each_row(folder / "bad.jsonl", [](LabelledConversation) { return Status(); });
    ASSERT_FALSE(count.ok()) << line;
    EXPECT_NE(count.error().message.find("bad.jsonl:2"), std::string::npos)
        << count.error().message;
    EXPECT_NE(count.error().message.find(field), std::string::npos) << count.error().message;
  }
}

TEST(LabelledReader, CutCompressionIsAnError) {
  const auto folder = test_folder();
  std::string text;
  for (int i = 0; i < 2000; ++i) text += row(std::to_string(i), std::to_string(i * 7919)) + "\n";
  write_gz(folder / "a.jsonl.gz", text);
  std::filesystem::resize_file(folder / "a.jsonl.gz",
                               std::filesystem::file_size(folder / "a.jsonl.gz") / 2);
  const auto count =
      for_each_row(folder / "a.jsonl.gz", [](LabelledConversation) { return Status(); });
  ASSERT_FALSE(count.ok());
}

TEST(LabelledReader, MissingFile) {
  const auto reader = LabelledReader::open(test_folder() / "none.jsonl");
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().code, ErrorCode::kNotFound);
}

TEST(LabelledReader, SpansKeepAllPieces) {
  const auto one = parse_labelled_conversation(
      replaced(row("1"), "\"unsafe_span\": null", "\"unsafe_span\": [1, 3]"));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->unsafe_spans, (std::vector<CharacterSpan>{{1, 3}}));
  const auto two = parse_labelled_conversation(
      row("1", "hello", "\"Unsafe\"", R"(, "spans": [[3, 4], [0, 2]])"));
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->unsafe_spans.size(), 2U);
}

TEST(DatasetIndex, CountsRowsExactly) {
  const auto folder = test_folder();
  write_gz(folder / "s.jsonl.gz", row("1") + "\n" + row("2") + "\n");
  const auto index_with = [&](int rows, const std::string& licence) {
    write_text(folder / "index.json", R"([{"name": "s", "rows": )" + std::to_string(rows) +
                                          R"(, "licence": "MIT", "licence_class": ")" + licence +
                                          "\"}]");
    return read_dataset_index(folder);
  };
  const auto good = index_with(2, "permissive");
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(read_dataset((*good)[0], [](LabelledConversation) { return Status(); }).ok());
  const auto short_by_one = index_with(3, "permissive");
  ASSERT_TRUE(short_by_one.ok());
  EXPECT_FALSE(
      read_dataset((*short_by_one)[0], [](LabelledConversation) { return Status(); }).ok());
  EXPECT_FALSE(index_with(2, "free").ok());
}

TEST(DatasetIndex, RefusesNamesThatArePaths) {
  const auto folder = test_folder();
  write_text(folder / "index.json",
             R"([{"name": "../s", "rows": 1, "licence": "MIT", "licence_class": "permissive"}])");
  EXPECT_FALSE(read_dataset_index(folder).ok());
}

}  // namespace
}  // namespace qwen3guard::dataset
