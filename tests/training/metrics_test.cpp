#include "training/metrics.h"

#include <gtest/gtest.h>

#include "training/plot.h"

namespace qwen3guard::training {
namespace {

TEST(Auroc, CountsPairsAndHalvesTies) {
  EXPECT_EQ(auroc({true, true, false, false}, {0.9, 0.8, 0.2, 0.1}), 1.0);
  EXPECT_EQ(auroc({true, true, false, false}, {0.1, 0.2, 0.8, 0.9}), 0.0);
  EXPECT_EQ(auroc({true, false, true, false}, {0.5, 0.5, 0.5, 0.5}), 0.5);
  // Pairs: (0.4 against 0.1, 0.6), (0.6 against 0.1, 0.6): 1 + 0 + 1 + 0.5 of 4.
  EXPECT_EQ(auroc({true, true, false, false}, {0.4, 0.6, 0.1, 0.6}), 0.625);
  EXPECT_EQ(auroc({true, true}, {0.1, 0.2}), std::nullopt);
}

TEST(Counts, Figures) {
  Counts counts;
  for (int i = 0; i < 3; ++i) counts.add(true, true);
  counts.add(true, false);
  counts.add(false, true);
  for (int i = 0; i < 5; ++i) counts.add(false, false);
  EXPECT_DOUBLE_EQ(counts.recall(), 75.0);
  EXPECT_DOUBLE_EQ(counts.precision(), 75.0);
  EXPECT_DOUBLE_EQ(counts.f1(), 75.0);
  EXPECT_DOUBLE_EQ(counts.flagged(), 40.0);
  EXPECT_NEAR(counts.false_positive_rate(), 100.0 / 6, 1e-12);
  EXPECT_EQ(Counts().f1(), 0.0);
}

TEST(Plot, DrawsWhatThereIs) {
  const auto svg =
      plot_svg({{"loss", {{"a", "#000000", {{0, 1}, {1, 0.5}}}}}, {"empty", {}}}, "step");
  EXPECT_NE(svg.find("<polyline"), std::string::npos);
  EXPECT_NE(svg.find("nothing yet"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace qwen3guard::training
