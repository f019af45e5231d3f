// Runs a guard over labelled sets, on the very path that serves.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataset/dataset_index.h"
#include "dataset/labelled_conversation.h"
#include "evaluation/metrics.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::evaluation {

/// Figures of one set. Rows that could not be judged are counted in `errors` and in nothing else:
/// neither Safe nor found.
struct SetResult {
  std::string name;
  std::size_t rows = 0;
  std::size_t errors = 0;
  std::optional<Error> first_error;
  /// Of P(not Safe), positives: everything not labelled Safe.
  std::optional<double> auroc;
  Confusion strict;  // predicted: not allowed by the strict policy; positive: not labelled Safe
  Confusion loose;   // predicted: not allowed by the loose policy; positive: labelled Unsafe
};

/// Called now and then, from several threads, one at a time, with the rows done.
using OnProgress = std::function<void(std::size_t done, std::size_t total)>;

/// Judges every row. Several at once: `guard` should be loaded with one thread. REQUIRES: every row
/// has a label; threads >= 1.
SetResult evaluate_rows(const Guard& guard, std::string name,
                        const std::vector<dataset::LabelledConversation>& rows, int threads,
                        const OnProgress& on_progress);

/// The labelled rows of `split: test`; at most `limit` (0: all), those with the smallest SHA-256 of
/// their id.
Result<std::vector<dataset::LabelledConversation>> test_rows(const dataset::DatasetEntry& entry,
                                                             std::size_t limit);
/// The `count` prompts with the smallest SHA-256 of their id, of any split, taken as Safe.
Result<std::vector<dataset::LabelledConversation>> benign_rows(const dataset::DatasetEntry& entry,
                                                               std::size_t count);

}  // namespace qwen3guard::evaluation
