#include "dataset/grammar.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "dataset/overlap.h"
#include "support.h"

namespace qwen3guard::dataset {
namespace {

nlohmann::json small_grammar() {
  return nlohmann::json::parse(R"({
    "name": "made",
    "lists": {"verb": ["bake", "eat"], "what": ["bread", "{colour} cake"], "colour": ["red", "green"]},
    "frames": [
      {"lang": "en", "target": "prompt", "label": "Safe", "rows": 100,
       "texts": ["{^verb} {what}, then {verb} {what#2}. {{ok}}"]},
      {"lang": "en", "target": "response", "label": "Unsafe", "category": "Violent", "rows": 3,
       "prompts": ["How do I {verb}?"], "texts": ["{^verb} it with {colour} fury."]}]})");
}

Error error_of(const nlohmann::json& root) {
  auto grammar = Grammar::parse(root);
  return grammar.ok() ? Error{ErrorCode::kInvalidState, "no error"} : grammar.error();
}

TEST(Grammar, FillsSlotsAndSharesChoicesWithinARow) {
  const auto grammar = Grammar::parse(small_grammar());
  ASSERT_TRUE(grammar.ok()) << grammar.error().message;
  EXPECT_EQ(grammar->wanted(), 103u);
  std::set<std::string> prompts;
  std::size_t answers = 0;
  for (const auto& row : grammar->expand(1)) {
    EXPECT_EQ(row.source, "made");
    if (row.target == Target::kResponse) {
      ++answers;
      EXPECT_EQ(row.label, Risk::kUnsafe);
      EXPECT_EQ(row.categories, std::vector<std::string>{"Violent"});
      const bool bake = row.messages[0].content == "How do I bake?";
      EXPECT_TRUE(row.messages[1].content.starts_with(bake ? "Bake it" : "Eat it"))
          << row.messages[1].content;
      continue;
    }
    const auto& text = row.messages.back().content;
    EXPECT_TRUE(prompts.insert(text).second) << text;
    EXPECT_TRUE(text.starts_with("Bake") ? text.find("then bake") != std::string::npos
                                         : text.find("then eat") != std::string::npos)
        << text;
    EXPECT_TRUE(text.ends_with("{ok}")) << text;
  }
  EXPECT_EQ(answers, 3u);
  // 2 verbs x 3 things x 3 other things: a frame that asks for more ends with what there is.
  EXPECT_EQ(prompts.size(), 18u);
}

TEST(Grammar, TheSameSeedGivesTheSameRows) {
  const auto grammar = Grammar::parse(small_grammar());
  ASSERT_TRUE(grammar.ok());
  const auto first = grammar->expand(7), again = grammar->expand(7);
  ASSERT_EQ(first.size(), again.size());
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].id, again[i].id);
}

TEST(Grammar, WhatIsWrongIsNamed) {
  const auto with = [](const char* path, nlohmann::json value) {
    auto root = small_grammar();
    root[nlohmann::json::json_pointer(path)] = std::move(value);
    return error_of(root).message;
  };
  EXPECT_NE(with("/frames/0/texts/0", "{nothing}").find("no list is called \"nothing\""),
            std::string::npos);
  EXPECT_NE(with("/frames/0/texts/0", "open {verb").find("brace"), std::string::npos);
  EXPECT_NE(with("/frames/0/texts/0", "closed }").find("brace"), std::string::npos);
  EXPECT_NE(with("/lists/colour/0", "{what}").find("contains itself"), std::string::npos);
  EXPECT_NE(with("/frames/1/category", "Rude").find("Rude"), std::string::npos);
  EXPECT_NE(with("/frames/0/category", "Violent").find("Safe frame"), std::string::npos);
  EXPECT_NE(with("/frames/0/label", "Fine").find("Fine"), std::string::npos);
  EXPECT_NE(with("/frames/0/rows", 0).find("rows"), std::string::npos);
  EXPECT_NE(with("/frames/0/rowz", 1).find("rowz"), std::string::npos);
  EXPECT_NE(with("/name", "../evil").find("name"), std::string::npos);
  auto doubling = small_grammar();
  for (int i = 0; i < 20; ++i) {
    const std::string next = "x" + std::to_string(i + 1);
    doubling["lists"]["x" + std::to_string(i)] = {"{" + next + "}{" + next + "}"};
  }
  doubling["lists"]["x20"] = {"y"};
  EXPECT_FALSE(Grammar::parse(doubling).ok()) << "a text that doubles with every level";
}

TEST(OverlapFilter, FindsWholeTextsAndLongRuns) {
  OverlapFilter filter;
  filter.add("Short one.");
  filter.add("The quick brown fox jumps over the lazy dog near the river.");
  filter.add("如何在家里自己做一个很好吃的蛋糕");
  EXPECT_TRUE(filter.overlaps("short ONE!"));
  EXPECT_FALSE(filter.overlaps("a short one"));
  EXPECT_TRUE(filter.overlaps("He said: the QUICK brown fox - jumps over the lazy dog"));
  EXPECT_FALSE(filter.overlaps("The quick brown fox jumps over a lazy dog"));
  EXPECT_TRUE(filter.overlaps("请问，如何在家里自己做一个面包？"));
  EXPECT_FALSE(filter.overlaps("如何在家做蛋糕"));
  EXPECT_FALSE(filter.overlaps(""));
  EXPECT_FALSE(filter.overlaps("\xff\xfe"));
}

}  // namespace
}  // namespace qwen3guard::dataset
