// From logits to a token: small cases by hand, random ones against a slow reference.

#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "base/random.h"

namespace qwen3guard::engine {
namespace {

using Logits = std::vector<float>;
using Ids = std::vector<std::int32_t>;

std::int32_t choose(const Logits& logits, const GenerateOptions& options, double uniform = 0,
                    const Ids& history = {}) {
  const auto id = choose_token(logits, options, history, uniform);
  EXPECT_TRUE(id.ok()) << id.error().message;
  return *id;
}

Logits logits_of(const std::vector<double>& probabilities) {
  Logits logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Sampler, GreedyTakesTheMostProbableTheLowerIdOfTwo) {
  EXPECT_EQ(choose({1, 3, 2}, {}, 0.99), 1);
  EXPECT_EQ(choose({1, 3, 3}, {}, 0.99), 1);
  EXPECT_EQ(choose({-5}, {}), 0);
}

TEST(Sampler, ADrawTakesTheFirstTokenAtWhichTheSumExceedsTheUniform) {
  const Logits logits = logits_of({0.25, 0.25, 0.5});
  const GenerateOptions options = {.temperature = 1};
  EXPECT_EQ(choose(logits, options, 0.0), 0);
  EXPECT_EQ(choose(logits, options, 0.24), 0);
  EXPECT_EQ(choose(logits, options, 0.26), 1);
  EXPECT_EQ(choose(logits, options, 0.49), 1);
  EXPECT_EQ(choose(logits, options, 0.51), 2);
  EXPECT_EQ(choose(logits, options, std::nextafter(1.0, 0.0)), 2);
}

TEST(Sampler, TemperatureRaisesProbabilitiesToItsInverse) {
  const Logits logits = logits_of({0.5, 0.3, 0.2});
  // Squared: 0.25, 0.09, 0.04 of 0.38.
  EXPECT_EQ(choose(logits, {.temperature = 0.5f}, 0.657), 0);
  EXPECT_EQ(choose(logits, {.temperature = 0.5f}, 0.659), 1);
  EXPECT_EQ(choose(logits, {.temperature = 0.5f}, 0.894), 1);
  EXPECT_EQ(choose(logits, {.temperature = 0.5f}, 0.896), 2);
  EXPECT_EQ(choose(logits, {.temperature = 1e-30f}, 0.999), 0);
  EXPECT_EQ(choose(logits, {.temperature = 1e30f}, 0.34), 1);  // all alike
}

TEST(Sampler, TopKKeepsTheMostProbableTheLowerIdsOfEqualOnes) {
  const Logits logits = logits_of({0.1, 0.4, 0.1, 0.4});
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 1}, 0.999), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 2}, 0.49), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 2}, 0.51), 3);
  // 0.1, 0.4 and 0.4 of 0.9, in the order of ids.
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 3}, 0.11), 0);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 3}, 0.12), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 3}, 0.56), 3);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 99}, 0.55), 2);
}

TEST(Sampler, TopPKeepsATokenWhosePredecessorsHaveLessTogether) {
  const Logits logits = logits_of({0.2, 0.5, 0.3});
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.01f}, 0.999), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.49f}, 0.999), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.51f}, 0.62), 1);  // 0.5 of 0.8
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.51f}, 0.63), 2);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.79f}, 0.0), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.81f}, 0.0), 0);
  // All stay, and are drawn in the order of ids as without a cut.
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.99f}, 0.19), 0);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.99f}, 0.21), 1);
}

// 0.4, 0.3, 0.2, 0.1 cut to 0.4 and 0.3: 0.571 of what is left, so the first one alone has 0.5.
TEST(Sampler, TopPComesAfterTopK) {
  const Logits logits = logits_of({0.4, 0.3, 0.2, 0.1});
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.5f}, 0.999), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.5f, .top_k = 2}, 0.999), 0);
}

// Squared probabilities 0.658, 0.237, 0.105: the first alone has 0.6, which it has not before.
TEST(Sampler, TopPComesAfterTemperature) {
  const Logits logits = logits_of({0.5, 0.3, 0.2});
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0.6f}, 0.999), 1);
  EXPECT_EQ(choose(logits, {.temperature = 0.5f, .top_p = 0.6f}, 0.999), 0);
}

TEST(Sampler, ThePenaltyDividesPositiveLogitsAndMultipliesNegativeOnesOnce) {
  const GenerateOptions options = {.repetition_penalty = 2};
  EXPECT_EQ(choose({2, 1.5f}, options, 0, {}), 0);
  EXPECT_EQ(choose({2, 1.5f}, options, 0, {0}), 1);
  EXPECT_EQ(choose({2, 0.9f}, options, 0, {0}), 0);
  EXPECT_EQ(choose({2, 0.9f}, options, 0, {0, 0, 0}), 0);
  EXPECT_EQ(choose({-1, -1.5f}, options, 0, {0}), 1);
  EXPECT_EQ(choose({-1, -2.5f}, options, 0, {0, 0}), 0);
  EXPECT_EQ(choose({1, 1.5f}, {.repetition_penalty = 0.5f}, 0, {0}), 0);
  EXPECT_EQ(choose({3e38f, 1}, {.temperature = 1, .repetition_penalty = 1e-38f}, 0.5, {0}), 0);
}

TEST(Sampler, LogitsThatAreNoNumbersAreAnError) {
  for (const float broken :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const float temperature : {0.0f, 1.0f}) {
      const auto id = choose_token(Logits{1, broken, 2}, {.temperature = temperature}, {}, 0);
      ASSERT_FALSE(id.ok());
      EXPECT_EQ(id.error().code, ErrorCode::kNonFinite);
      EXPECT_NE(id.error().message.find("token 1"), std::string::npos) << id.error().message;
    }
  }
}

TEST(Sampler, RefusesOptionsThatMakeNoSense) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::pair<GenerateOptions, const char*>> wrong = {
      {{.temperature = -1}, "temperature"},
      {{.temperature = nan}, "temperature"},
      {{.top_p = 0}, "top_p"},
      {{.top_p = 1.5f}, "top_p"},
      {{.top_p = nan}, "top_p"},
      {{.repetition_penalty = 0}, "repetition_penalty"},
      {{.repetition_penalty = nan}, "repetition_penalty"},
  };
  for (const auto& [options, name] : wrong) {
    const Status status = check_sampling(options);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(status.error().message.find(name), 0u) << status.error().message;
  }
  EXPECT_TRUE(check_sampling({}).ok());
}

// By the definitions, everything sorted, nothing clever.
std::int32_t reference(const Logits& logits, const GenerateOptions& options, const Ids& history,
                       double uniform) {
  struct Token {
    std::int32_t id;
    double score, p;
  };
  const std::set<std::int32_t> seen(history.begin(), history.end());
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    double score = logits[i];
    const auto id = static_cast<std::int32_t>(i);
    if (seen.count(id) != 0) {
      const double penalty = options.repetition_penalty;
      score = score > 0 ? score / penalty : score * penalty;
    }
    tokens.push_back({id, score, 0});
  }
  std::sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  });
  if (options.temperature == 0) return tokens.front().id;
  if (options.top_k > 0 && options.top_k < tokens.size()) tokens.resize(options.top_k);
  const auto normalise = [&] {
    double sum = 0;
    for (Token& t : tokens) {
      t.p = std::exp((t.score - tokens.front().score) / options.temperature);
      sum += t.p;
    }
    for (Token& t : tokens) t.p /= sum;
  };
  normalise();
  double before = 0;
  std::size_t kept = 0;
  for (; kept < tokens.size() && before < options.top_p; ++kept) before += tokens[kept].p;
  if (options.top_p < 1) tokens.resize(kept);
  normalise();
  std::sort(tokens.begin(), tokens.end(),
            [](const Token& a, const Token& b) { return a.id < b.id; });
  double sum = 0;
  for (const Token& t : tokens) {
    sum += t.p;
    if (sum > uniform) return t.id;
  }
  return tokens.back().id;
}

TEST(Sampler, EqualsTheReferenceOnRandomCases) {
  Random random(7);
  const auto one_of = [&](const auto& values) { return values[random.below(values.size())]; };
  for (int round = 0; round < 3000; ++round) {
    Logits logits(1 + random.below(60));
    // Some equal ones, so that ties occur.
    for (float& logit : logits) {
      logit = static_cast<float>(random.normal() * 3);
      if (random.below(4) == 0) logit = std::round(logit);
    }
    Ids history(random.below(10));
    for (auto& id : history) id = static_cast<std::int32_t>(random.below(logits.size()));
    const GenerateOptions options = {
        .temperature = one_of(std::vector<float>{0, 0.3f, 1, 2}),
        .top_p = one_of(std::vector<float>{0.1f, 0.5f, 0.9f, 1}),
        .top_k = one_of(std::vector<std::size_t>{0, 1, 5, 40}),
        .repetition_penalty = one_of(std::vector<float>{0.8f, 1, 1.3f}),
    };
    const double uniform = random.uniform();
    EXPECT_EQ(choose(logits, options, uniform, history),
              reference(logits, options, history, uniform))
        << "round " << round;
  }
}

// Streams of neighbouring numbers, as the tokens of an answer use them.
TEST(Sampler, DrawsFollowTheProbabilities) {
  const std::vector<double> probabilities = {0.1, 0.2, 0.3, 0.4};
  const Logits logits = logits_of(probabilities);
  constexpr int kDraws = 20000;
  std::vector<int> counts(probabilities.size());
  for (int i = 0; i < kDraws; ++i) {
    const double uniform = Random(1, static_cast<std::uint64_t>(i)).uniform();
    ++counts[static_cast<std::size_t>(choose(logits, {.temperature = 1}, uniform))];
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double p = probabilities[i];
    EXPECT_NEAR(counts[i], kDraws * p, 4 * std::sqrt(kDraws * p * (1 - p)));
  }
}

TEST(LogProbabilities, AreLogSoftmaxAlsoOfLargeLogits) {
  const Logits logits = {1000, 1000 + static_cast<float>(std::log(3.0)), -1000};
  const LogProbabilities own(logits);
  EXPECT_NEAR(own.of(0), std::log(0.25), 1e-4);
  EXPECT_NEAR(own.of(1), std::log(0.75), 1e-4);
  EXPECT_NEAR(own.of(2), -2000 + std::log(0.25), 1e-3);
}

TEST(LogProbabilities, TheTopIsSortedTheLowerIdFirst) {
  const Logits logits = logits_of({0.2, 0.1, 0.2, 0.5});
  const LogProbabilities own(logits);
  const auto top = own.top(99);
  ASSERT_EQ(top.size(), 4u);
  const Ids expected = {3, 0, 2, 1};
  double sum = 0;
  for (std::size_t i = 0; i < top.size(); ++i) {
    EXPECT_EQ(top[i].id, expected[i]);
    EXPECT_EQ(top[i].logprob, own.of(top[i].id));
    sum += std::exp(double{top[i].logprob});
  }
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_EQ(own.top(2).size(), 2u);
  EXPECT_TRUE(own.top(0).empty());
}

}  // namespace
}  // namespace qwen3guard::engine
