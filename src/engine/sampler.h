// From logits to a token. Pure: the same arguments give the same token everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qwen3guard/generator.h"
#include "qwen3guard/result.h"

namespace qwen3guard::engine {

/// kInvalidArgument, naming the option, what was expected and what was found.
Status check_sampling(const GenerateOptions& options);

/// Chooses by options' temperature, top_k, top_p and repetition_penalty; see there for their order
/// and ties. `history`: the ids that the penalty is for. `uniform` in [0, 1) decides a draw: the
/// first token, by id, at which the probabilities that are left sum to more than it. Errors:
/// kNonFinite (a logit is NaN or infinite). REQUIRES: check_sampling, logits not empty.
Result<std::int32_t> choose_token(std::span<const float> logits, const GenerateOptions& options,
                                  std::span<const std::int32_t> history, double uniform);

/// log_softmax over finite logits.
class LogProbabilities {
 public:
  explicit LogProbabilities(std::span<const float> logits);
  float of(std::int32_t id) const;
  /// The `count` most probable tokens, the lower id first of equal ones; fewer if there are not so
  /// many.
  std::vector<TokenLogprob> top(std::size_t count) const;

 private:
  std::span<const float> logits_;
  double log_sum_ = 0;  // of the exponentials
};

}  // namespace qwen3guard::engine
