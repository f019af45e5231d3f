// Verdicts against labels: the figures of a set.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "training/examples.h"
#include "training/metrics.h"

namespace qwen3guard::training {

/// Debounce `paper`: flagged at the first token i where i-1 and i are both not Safe (loose: both
/// Unsafe).
struct Score {
  double not_safe = 0;  // at the flagged token, else where min(p(i-1), p(i)) is largest
  bool strict = false;
  bool loose = false;
  std::optional<std::size_t> flagged_token;  // strict; from 0 in the response
  std::optional<Category> category;          // at the flagged token
};

struct SetFigures {
  std::size_t rows = 0;
  std::optional<double> auroc;  // of P(not Safe), Controversial counted as positive
  Counts strict;                // Controversial is positive
  Counts loose;                 // Controversial is negative
  std::size_t category_known = 0, category_right = 0;  // flagged rows whose true category is known
};

/// Figures of one set. REQUIRES: equal sizes; every example has a label.
SetFigures figures(const std::vector<const Example*>& examples, const std::vector<Score>& scores);

/// By source name.
std::map<std::string, SetFigures> figures_by_source(const std::vector<Example>& examples,
                                                    const std::vector<std::string>& sources,
                                                    const std::vector<Score>& scores);

/// A table for people.
std::string format_figures(const std::map<std::string, SetFigures>& figures);

}  // namespace qwen3guard::training
