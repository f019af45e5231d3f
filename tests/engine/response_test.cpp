#include "engine/response.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace qwen3guard::engine {
namespace {

JudgedToken token(float safe, float unsafe, float controversial,
                  Category category = Category::kViolent) {
  JudgedToken token;
  auto& p = token.verdict.probabilities.p;
  p = {safe, unsafe, controversial};
  token.verdict.risk = static_cast<Risk>(std::max_element(p.begin(), p.end()) - p.begin());
  token.verdict.category_probabilities[static_cast<std::size_t>(category)] = 1.0f;
  return token;
}

JudgedResponse response(const Policy& policy, const std::vector<JudgedToken>& tokens) {
  JudgedResponse judged(policy);
  for (const JudgedToken& t : tokens) judged.push(t);
  return judged;
}

TEST(JudgedResponse, AnEmptyResponseIsSafe) {
  const Verdict verdict = JudgedResponse(Policy::strict()).verdict();
  EXPECT_EQ(verdict.risk, Risk::kSafe);
  EXPECT_EQ(verdict.decision, Decision::kAllow);
  EXPECT_EQ(verdict.probabilities[Risk::kSafe], 1.0f);
}

TEST(JudgedResponse, AFlagCarriesItsOwnTokensProbabilitiesAndCategory) {
  const Verdict verdict =
      response(Policy::strict(), {token(0.9f, 0.1f, 0), token(0.2f, 0.5f, 0.3f, Category::kPii),
                                  token(0.3f, 0.1f, 0.6f, Category::kPolitical), token(0, 1, 0)})
          .verdict();
  ASSERT_TRUE(verdict.flagged.has_value());
  EXPECT_EQ(verdict.flagged->token, 2u);
  EXPECT_EQ(verdict.risk, Risk::kControversial);
  EXPECT_EQ(verdict.category, Category::kPolitical);
  EXPECT_EQ(verdict.probabilities[Risk::kControversial], 0.6f);
  EXPECT_EQ(verdict.decision, Decision::kBlock);
}

TEST(JudgedResponse, UnflaggedProbabilitiesComeFromTheStrongestPair) {
  const Verdict verdict = response(Policy::strict(), {token(0.1f, 0.9f, 0), token(0.8f, 0.2f, 0),
                                                      token(0.6f, 0.4f, 0), token(0.7f, 0.3f, 0)})
                              .verdict();
  EXPECT_FALSE(verdict.flagged.has_value());
  EXPECT_EQ(verdict.risk, Risk::kSafe);
  EXPECT_FLOAT_EQ(verdict.probabilities[Risk::kSafe], 0.7f) << "min(0.4, 0.3) beats min(0.9, 0.2)";
  const Verdict alone = response(Policy::strict(), {token(0.1f, 0.9f, 0)}).verdict();
  EXPECT_FALSE(alone.flagged.has_value()) << "one token is no pair";
  EXPECT_FLOAT_EQ(alone.probabilities.not_safe(), 0.9f);
}

TEST(JudgedResponse, LooseMapsBeforeItDebounces) {
  const std::vector<JudgedToken> mixed = {token(0.1f, 0.2f, 0.7f), token(0.1f, 0.8f, 0.1f),
                                          token(1, 0, 0)};
  const Verdict loose = response(Policy::loose(), mixed).verdict();
  EXPECT_FALSE(loose.flagged.has_value()) << "Controversial then Unsafe is one Unsafe token";
  EXPECT_EQ(loose.decision, Decision::kAllow);
  EXPECT_EQ(loose.risk, Risk::kControversial) << "strict would flag it, loose does not";
  EXPECT_EQ(response(Policy::strict(), mixed).verdict().flagged->token, 1u);
}

TEST(JudgedResponse, TruncateEqualsNeverHavingPushed) {
  const std::vector<JudgedToken> all = {token(0.9f, 0.1f, 0), token(0.4f, 0.6f, 0),
                                        token(0.2f, 0.8f, 0), token(0.1f, 0, 0.9f),
                                        token(0.95f, 0.05f, 0)};
  for (std::size_t keep = 0; keep <= all.size(); ++keep) {
    JudgedResponse cut = response(Policy::strict(), all);
    cut.truncate(keep);
    const Verdict expected =
        response(Policy::strict(), {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(keep)})
            .verdict();
    EXPECT_EQ(cut.verdict().flagged, expected.flagged);
    EXPECT_EQ(cut.verdict().probabilities.p, expected.probabilities.p);
    EXPECT_EQ(cut.verdict().risk, expected.risk);
  }
}

}  // namespace
}  // namespace qwen3guard::engine
