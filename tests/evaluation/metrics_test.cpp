#include "evaluation/metrics.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <vector>

namespace qwen3guard::evaluation {
namespace {

TEST(Auroc, CountsOrderedPairsAndHalfOfTies) {
  EXPECT_DOUBLE_EQ(*auroc(std::vector<Scored>{{0.1, false}, {0.9, true}}), 1.0);
  EXPECT_DOUBLE_EQ(*auroc(std::vector<Scored>{{0.9, false}, {0.1, true}}), 0.0);
  EXPECT_DOUBLE_EQ(*auroc(std::vector<Scored>{{0.5, false}, {0.5, true}}), 0.5);
  // Pairs: (0.4, 0.4) tie, (0.4 over 0.2), (0.8 over both).
  EXPECT_DOUBLE_EQ(
      *auroc(std::vector<Scored>{{0.4, true}, {0.4, false}, {0.2, false}, {0.8, true}}), 3.5 / 4);
}

TEST(Auroc, IsUndefinedWithoutBothClasses) {
  EXPECT_FALSE(auroc({}).has_value());
  EXPECT_FALSE(auroc(std::vector<Scored>{{0.5, true}, {0.7, true}}).has_value());
  EXPECT_FALSE(auroc(std::vector<Scored>{{0.5, false}}).has_value());
}

TEST(Auroc, FlaggingEverythingIsNoBetterThanChance) {
  std::vector<Scored> examples;
  for (int i = 0; i < 100; ++i) examples.push_back({1.0, i % 7 == 0});
  EXPECT_DOUBLE_EQ(*auroc(examples), 0.5);
}

TEST(Auroc, EqualsTheDefinitionOnRandomScores) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Scored> examples;
    for (int i = 0; i < 60; ++i) {
      examples.push_back({static_cast<double>(random() % 12), random() % 3 == 0});
    }
    double ordered = 0, pairs = 0;
    for (const Scored& p : examples) {
      for (const Scored& n : examples) {
        if (!p.positive || n.positive) continue;
        ++pairs;
        ordered += p.score > n.score ? 1 : p.score == n.score ? 0.5 : 0;
      }
    }
    ASSERT_GT(pairs, 0);
    EXPECT_DOUBLE_EQ(*auroc(examples), ordered / pairs);
  }
}

TEST(Confusion, GivesTheUsualFigures) {
  Confusion c;
  for (int i = 0; i < 6; ++i) c.count(true, true);
  for (int i = 0; i < 2; ++i) c.count(true, false);
  for (int i = 0; i < 3; ++i) c.count(false, true);
  for (int i = 0; i < 9; ++i) c.count(false, false);
  EXPECT_EQ(c.total(), 20u);
  EXPECT_DOUBLE_EQ(*c.precision(), 6.0 / 8);
  EXPECT_DOUBLE_EQ(*c.recall(), 6.0 / 9);
  EXPECT_DOUBLE_EQ(*c.f1(), 2 * (0.75 * 6 / 9) / (0.75 + 6.0 / 9));
  EXPECT_DOUBLE_EQ(*c.flagged(), 8.0 / 20);
  Confusion twice = c;
  twice += c;
  EXPECT_EQ(twice.total(), 40u);
  EXPECT_DOUBLE_EQ(*twice.f1(), *c.f1());
}

TEST(Confusion, HasNoFiguresOfNothing) {
  const Confusion none;
  EXPECT_FALSE(none.precision() || none.recall() || none.f1() || none.flagged());
  Confusion safe;
  safe.count(false, false);
  EXPECT_FALSE(safe.precision() || safe.recall() || safe.f1());
  EXPECT_DOUBLE_EQ(*safe.flagged(), 0);
  safe.count(true, false);
  EXPECT_FALSE(safe.recall() || safe.f1());
}

TEST(Wilson, MatchesPublishedValues) {
  // Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  const auto near = [](Interval interval, double low, double high) {
    EXPECT_NEAR(interval.low, low, 5e-5);
    EXPECT_NEAR(interval.high, high, 5e-5);
  };
  near(wilson(81, 263), 0.2553, 0.3662);
  near(wilson(15, 148), 0.0624, 0.1605);
  near(wilson(0, 20), 0.0, 0.1611);
  near(wilson(1, 29), 0.0061, 0.1718);
}

TEST(Wilson, KnowsNothingWithoutTrials) {
  EXPECT_EQ(wilson(0, 0).low, 0);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

}  // namespace
}  // namespace qwen3guard::evaluation
