#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "checkpoint_fixture.h"
#include "evaluation/metrics.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

using nlohmann::json;

json row(const std::string& id, const std::string& split, const json& label, bool response) {
  json messages = {{{"role", "user"}, {"content", "Question " + id + ", dear friend?"}}};
  if (response)
    messages.push_back(
        {{"role", "assistant"}, {"content", "An answer to " + id + ", and more of it."}});
  return {{"id", id},
          {"source", "tiny"},
          {"lang", "en"},
          {"messages", messages},
          {"target", response ? "response" : "prompt"},
          {"label", label},
          {"categories", json::array()},
          {"refusal", nullptr},
          {"unsafe_span", nullptr},
          {"split", split},
          {"label_origin", "human"}};
}

class Evaluate : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(data_);
    std::ofstream set(data_ / "tiny.jsonl"), input(directory_ / "input.jsonl");
    const char* labels[] = {"Safe", "Unsafe", "Controversial"};
    for (int i = 0; i < 45; ++i) {
      const json line =
          row("row-" + std::to_string(i), i < 30 ? "test" : "train", labels[i % 3], i % 2 == 1);
      set << line.dump() << "\n";
      if (i < 30) input << line.dump() << "\n";
    }
    write_text(
        data_ / "index.json",
        R"([{"name": "tiny", "rows": 45, "licence": "MIT", "licence_class": "permissive"}])");
  }

  Outcome evaluate(Arguments more) const {
    Arguments arguments = {"evaluate", "--model", shared_checkpoint().string(), "--data",
                           data_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }

  const TemporaryDirectory directory_;
  const std::filesystem::path data_ = directory_ / "data";
};

// The figures are those that anybody can compute from what moderate writes.
TEST_F(Evaluate, ScoresThePathThatServes) {
  const std::string figures = (directory_ / "figures.json").string();
  const Outcome result = evaluate({"--sets", "tiny", "--output", figures});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("tiny"), std::string::npos);
  const json set = json::parse(read_text(figures))["sets"][0];
  EXPECT_EQ(set["set"], "tiny");
  EXPECT_EQ(set["rows"], 30);
  EXPECT_EQ(set["errors"], 0);

  for (const bool strict : {true, false}) {
    const auto verdicts = run({"moderate", "--model", shared_checkpoint().string(), "--policy",
                               strict ? "strict" : "loose", (directory_ / "input.jsonl").string()})
                              .json();
    ASSERT_EQ(verdicts.size(), 30u);
    evaluation::Confusion confusion;
    std::vector<evaluation::Scored> scores;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      const auto& p = verdicts[i]["probabilities"];
      scores.push_back({p["unsafe"].get<double>() + p["controversial"].get<double>(), i % 3 != 0});
      confusion.count(verdicts[i]["decision"] != "allow", strict ? i % 3 != 0 : i % 3 == 1);
    }
    const json& found = set[strict ? "strict" : "loose"];
    EXPECT_EQ(found["true_positives"], confusion.true_positives);
    EXPECT_EQ(found["false_positives"], confusion.false_positives);
    EXPECT_EQ(found["false_negatives"], confusion.false_negatives);
    EXPECT_EQ(found["true_negatives"], confusion.true_negatives);
    if (strict) {
      EXPECT_NEAR(set["auroc"].get<double>(), *evaluation::auroc(scores), 1e-9);
    }
  }
}

TEST_F(Evaluate, TakesBenignPromptsByHash) {
  const std::string figures = (directory_ / "figures.json").string();
  const Outcome result = evaluate({"--benign", "7:tiny", "--output", figures});
  ASSERT_EQ(result.status, 0) << result.err;
  const json sets = json::parse(read_text(figures))["sets"];
  ASSERT_EQ(sets.size(), 1u);
  EXPECT_EQ(sets[0]["rows"], 7);
  EXPECT_TRUE(sets[0]["auroc"].is_null());
  const auto& strict = sets[0]["strict"];
  EXPECT_EQ(strict["true_positives"].get<int>() + strict["false_negatives"].get<int>(), 0);
  EXPECT_LE(strict["flagged_95"][0], strict["flagged"]);
  EXPECT_GE(strict["flagged_95"][1], strict["flagged"]);
}

TEST_F(Evaluate, SaysWhatIsWrong) {
  EXPECT_EQ(evaluate({"--sets", "none"}).status, 2);
  EXPECT_EQ(evaluate({"--benign", "tiny"}).status, 2);
  EXPECT_EQ(evaluate({"--benign", "999:tiny"}).status, 2);
  write_text(data_ / "index.json",
             R"([{"name": "tiny", "rows": 46, "licence": "MIT", "licence_class": "permissive"}])");
  const Outcome wrong = evaluate({"--sets", "tiny"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("46"), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace qwen3guard::apps::test
