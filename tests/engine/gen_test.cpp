// A trained toy Gen model: the reference's greedy answers, strict parsing, and forced-prefix
// scoring that equals greedy.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/gen_moderator.h"
#include "qwen3guard/guard.h"
#include "tokens/chat_template.h"

namespace qwen3guard {
namespace {

using nlohmann::json;

Conversation conversation(const json& messages) {
  Conversation result;
  for (const json& m : messages) {
    const std::string role = m["role"];
    result.push_back({role == "user"        ? Role::kUser
                      : role == "assistant" ? Role::kAssistant
                                            : Role::kSystem,
                      m["content"].get<std::string>()});
  }
  return result;
}

class GenTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::ifstream file(std::filesystem::path(QG_TEST_DATA) / "gen.json");
    golden_ = json::parse(file);
    ASSERT_GE(golden_.size(), 50u);
  }
  static Guard load(GenMethod method) {
    auto guard = Guard::load(directory(), {.threads = 2, .gen_method = method});
    EXPECT_TRUE(guard.ok()) << guard.error().message;
    return *guard;
  }
  static std::filesystem::path directory() {
    return std::filesystem::path(QG_TEST_DATA) / "models" / "toy-gen";
  }
  static inline json golden_;
};

TEST_F(GenTest, WritesTheReferencesAnswers) {
  const auto loaded =
      engine::Loaded::load(directory(), {.threads = 2, .gen_method = GenMethod::kGreedy});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  for (const json& row : golden_) {
    const Conversation messages = conversation(row["messages"]);
    const auto rendered = tokens::render_gen(messages, tokens::GenTemplate::kCompatible);
    ASSERT_TRUE(rendered.ok());
    EXPECT_EQ(rendered->text, row["text"].get<std::string>());
    const auto encoding = (*loaded)->tokenizer()->encode(*rendered);
    ASSERT_TRUE(encoding.ok());
    EXPECT_EQ(encoding->ids, row["ids"].get<std::vector<std::int32_t>>());
    const auto answer = engine::write_gen_answer(**loaded, messages, 128);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(*answer, row["output"].get<std::string>());
  }
}

TEST_F(GenTest, GreedyAndScoringGiveTheReferencesVerdict) {
  const Guard greedy = load(GenMethod::kGreedy);
  const Guard scored = load(GenMethod::kScore);
  for (const json& row : golden_) {
    const Conversation messages = conversation(row["messages"]);
    for (const Guard* guard : {&greedy, &scored}) {
      const auto verdict = guard->moderate(messages, Policy::strict());
      ASSERT_TRUE(verdict.ok()) << verdict.error().message;
      EXPECT_EQ(risk_name(verdict->risk), row["safety"].get<std::string>());
      const std::string category = row["category"];
      if (category == "None") {
        EXPECT_FALSE(verdict->category.has_value());
      } else {
        ASSERT_TRUE(verdict->category.has_value());
        EXPECT_EQ(category_name(*verdict->category), category);
      }
      ASSERT_EQ(verdict->refusal.has_value(), !row["refusal"].is_null());
      if (verdict->refusal) {
        EXPECT_EQ(*verdict->refusal ? "Yes" : "No", row["refusal"].get<std::string>());
      }
    }
  }
}

TEST_F(GenTest, ScoredProbabilitiesAreTheReferencesSoftmaxOverTheLabels) {
  const Guard scored = load(GenMethod::kScore);
  for (const json& row : golden_) {
    const auto verdict = scored.moderate(conversation(row["messages"]), Policy::strict());
    ASSERT_TRUE(verdict.ok());
    const json& forced = row["forced"][0];
    ASSERT_EQ(forced["prefix"], "Safety:");
    double sum = 0;
    std::vector<double> p;
    for (const json& logit : forced["logits"]) p.push_back(std::exp(logit.get<double>()));
    for (const double v : p) sum += v;
    for (std::size_t i = 0; i < p.size(); ++i) {
      const auto risk = parse_risk(forced["labels"][i].get<std::string>());
      ASSERT_TRUE(risk.has_value());
      // The golden logits carry five decimals; a probability moves by at most a quarter of a
      // logit's error.
      EXPECT_NEAR(verdict->probabilities[*risk], p[i] / sum, 1e-4);
    }
  }
}

TEST_F(GenTest, SessionsNeedAStreamModel) {
  const auto session = load(GenMethod::kScore).open({{Role::kUser, "hi"}}, Policy::strict());
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace qwen3guard
