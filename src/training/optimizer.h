// AdamW on the flat weights, with clipping by the global norm and a moving average of the weights.
#pragma once

#include <cstddef>
#include <vector>

#include "training/parameters.h"
#include "training/recipe.h"

namespace qwen3guard::training {

/// One array each, as long as the weights.
struct OptimizerState {
  std::vector<float> first, second, average;

  static OptimizerState start(const std::vector<float>& weights);
};

/// Applies step number `step` (from 0) and clears the gradients. Decay reaches matrices only.
/// Returns the gradients' norm before clipping; nothing is changed if it is not finite.
double optimizer_step(const Layout& layout, const OptimizerOptions& options, std::size_t step,
                      std::vector<float>& weights, std::vector<float>& gradients,
                      OptimizerState& state);

}  // namespace qwen3guard::training
