// Figures of a classifier: AUROC, F1, recall, share flagged.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace qwen3guard::training {

/// Area under the ROC curve; ties count half. None where one class is missing.
std::optional<double> auroc(const std::vector<bool>& positive, const std::vector<double>& score);

struct Counts {
  std::size_t true_positive = 0, false_positive = 0, false_negative = 0, true_negative = 0;
  void add(bool positive, bool flagged);
  std::size_t rows() const {
    return true_positive + false_positive + false_negative + true_negative;
  }
  /// In percent; 0 where undefined.
  double f1() const;
  double recall() const;
  double precision() const;
  double flagged() const;
  double false_positive_rate() const;
};

}  // namespace qwen3guard::training
