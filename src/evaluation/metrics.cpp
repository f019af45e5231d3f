#include "evaluation/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace qwen3guard::evaluation {
namespace {

std::optional<double> ratio(std::size_t part, std::size_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::optional<double> auroc(std::span<const Scored> examples) {
  std::vector<Scored> sorted(examples.begin(), examples.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const Scored& a, const Scored& b) { return a.score < b.score; });
  // Twice the number of pairs that are in order, so that ties stay whole numbers.
  std::uint64_t ordered_twice = 0, negatives = 0, positives = 0;
  for (std::size_t i = 0; i < sorted.size();) {
    std::uint64_t tied_positives = 0, tied_negatives = 0;
    std::size_t end = i;
    for (; end < sorted.size() && sorted[end].score == sorted[i].score; ++end) {
      ++(sorted[end].positive ? tied_positives : tied_negatives);
    }
    ordered_twice += tied_positives * (2 * negatives + tied_negatives);
    positives += tied_positives;
    negatives += tied_negatives;
    i = end;
  }
  if (positives == 0 || negatives == 0) return std::nullopt;
  return static_cast<double>(ordered_twice) /
         (2.0 * static_cast<double>(positives) * static_cast<double>(negatives));
}

void Confusion::count(bool predicted, bool positive) {
  if (predicted) {
    ++(positive ? true_positives : false_positives);
  } else {
    ++(positive ? false_negatives : true_negatives);
  }
}

Confusion& Confusion::operator+=(const Confusion& other) {
  true_positives += other.true_positives;
  false_positives += other.false_positives;
  false_negatives += other.false_negatives;
  true_negatives += other.true_negatives;
  return *this;
}

std::optional<double> Confusion::precision() const {
  return ratio(true_positives, true_positives + false_positives);
}

std::optional<double> Confusion::recall() const {
  return ratio(true_positives, true_positives + false_negatives);
}

std::optional<double> Confusion::f1() const {
  if (true_positives + false_negatives == 0) return std::nullopt;
  return ratio(2 * true_positives, 2 * true_positives + false_positives + false_negatives);
}

std::optional<double> Confusion::flagged() const {
  return ratio(true_positives + false_positives, total());
}

Interval wilson(std::size_t hits, std::size_t total, double z) {
  if (total == 0) return {};
  const double n = static_cast<double>(total);
  const double p = static_cast<double>(hits) / n;
  const double centre = p + z * z / (2 * n);
  const double spread = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  return {std::max(0.0, (centre - spread) / scale), std::min(1.0, (centre + spread) / scale)};
}

}  // namespace qwen3guard::evaluation
