#include "training/optimizer.h"

#include <algorithm>
#include <cmath>

#include "training/kernels.h"
#include "training/schedule.h"

namespace qwen3guard::training {

OptimizerState OptimizerState::start(const std::vector<float>& weights) {
  return {std::vector<float>(weights.size(), 0.0f), std::vector<float>(weights.size(), 0.0f),
          weights};
}

double optimizer_step(const Layout& layout, const OptimizerOptions& options, std::size_t step,
                      std::vector<float>& weights, std::vector<float>& gradients,
                      OptimizerState& state) {
  const double norm = std::sqrt(sum_of_squares(gradients.size(), gradients.data()));
  if (std::isfinite(norm)) {
    const double n = static_cast<double>(step + 1);
    const bool clip = options.clip_norm > 0 && norm > options.clip_norm;
    AdamStep adam{};
    adam.beta1 = static_cast<float>(options.beta1);
    adam.beta2 = static_cast<float>(options.beta2);
    adam.epsilon = static_cast<float>(options.epsilon);
    adam.correction1 = static_cast<float>(1.0 - std::pow(options.beta1, n));
    adam.correction2 = static_cast<float>(1.0 - std::pow(options.beta2, n));
    adam.gradient_scale = clip ? static_cast<float>(options.clip_norm / norm) : 1.0f;
    // A young average would remember the random start: let it follow closely at first.
    adam.average_decay = static_cast<float>(std::min(options.average_decay, n / (9.0 + n)));
    for (const auto& piece : layout.pieces) {
      const double factor = piece.name == "embedding" ? options.embedding_rate_factor : 1.0;
      adam.learning_rate = static_cast<float>(learning_rate(options, step) * factor);
      adam.weight_decay = piece.decay ? static_cast<float>(options.weight_decay) : 0.0f;
      const std::size_t at = piece.offset;
      adamw_step(piece.size(), adam, gradients.data() + at, weights.data() + at,
                 state.first.data() + at, state.second.data() + at, state.average.data() + at);
    }
  }
  std::ranges::fill(gradients, 0.0f);
  return norm;
}

}  // namespace qwen3guard::training
