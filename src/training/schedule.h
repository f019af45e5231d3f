// The learning rate over time.
#pragma once

#include <cmath>
#include <cstddef>

#include "training/recipe.h"

namespace qwen3guard::training {

/// Rate of step `step` (from 0): a linear warm-up, and a decay over the whole run to
/// `final_rate_share`.
inline double learning_rate(const OptimizerOptions& o, std::size_t step) {
  const double progress = static_cast<double>(step) / static_cast<double>(o.steps);
  const double decay =
      o.cosine ? 0.5 * (1.0 + std::cos(3.141592653589793 * progress)) : 1.0 - progress;
  const double warm =
      o.warmup_steps == 0
          ? 1.0
          : std::fmin(1.0, static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps));
  return o.learning_rate * warm * (o.final_rate_share + (1.0 - o.final_rate_share) * decay);
}

}  // namespace qwen3guard::training
