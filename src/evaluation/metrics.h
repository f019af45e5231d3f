// Figures of a classifier, computed from scores and labels; pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace qwen3guard::evaluation {

/// One scored example. `positive`: what should be found.
struct Scored {
  double score = 0;
  bool positive = false;
};

/// Probability that a random positive scores above a random negative, ties counting half. None
/// where one of the classes is empty. REQUIRES: finite scores.
std::optional<double> auroc(std::span<const Scored> examples);

struct Confusion {
  std::size_t true_positives = 0;
  std::size_t false_positives = 0;
  std::size_t false_negatives = 0;
  std::size_t true_negatives = 0;

  void count(bool predicted, bool positive);
  Confusion& operator+=(const Confusion& other);
  std::size_t total() const {
    return true_positives + false_positives + false_negatives + true_negatives;
  }
  /// None where the denominator is zero.
  std::optional<double> precision() const;
  std::optional<double> recall() const;
  /// None where there is nothing to find: it would be 0 for any classifier.
  std::optional<double> f1() const;
  /// Share of all that was predicted positive.
  std::optional<double> flagged() const;
};

struct Interval {
  double low = 0;
  double high = 1;
};

/// Wilson's score interval for `hits` of `total`; {0, 1} for no trials. z = 1.959964 gives 95 %.
Interval wilson(std::size_t hits, std::size_t total, double z = 1.959963984540054);

}  // namespace qwen3guard::evaluation
