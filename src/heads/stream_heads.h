// The four heads of a Stream model: hidden state -> risk and category logits for query and
// response.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"
#include "qwen3guard/result.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard::heads {

/// Logits of one token from one pair of heads. `category` uses the first 8 entries for a response.
struct HeadLogits {
  std::array<float, kRiskCount> risk{};
  std::array<float, kQueryCategoryCount> category{};
};

/// y = W_head * RMSNorm(W_pre * x) for a final-normed state x [hidden] (methods:
/// Qwen3Guard-Stream). Const after load; views into the model's mapped tensors.
class StreamHeads {
 public:
  /// Errors: kNotFound, kCorruptFile (shapes), kUnsupported (dtype; label names that contradict the
  /// class order Safe, Unsafe, Controversial).
  static Result<StreamHeads> load(std::shared_ptr<const model::Model> model);

  /// kNonFinite when a logit is NaN or infinite.
  Result<HeadLogits> query(std::span<const float> hidden) const;
  Result<HeadLogits> response(std::span<const float> hidden) const;

 private:
  struct Pair {
    kernels::Matrix pre;       // [inner, hidden]
    std::vector<float> norm;   // [inner]
    kernels::Matrix risk;      // [3, inner]
    kernels::Matrix category;  // [8 or 9, inner]
  };
  StreamHeads(std::shared_ptr<const model::Model> model, Pair query, Pair response);
  static Result<Pair> load_pair(const model::Model& model, const std::string& prefix,
                                std::size_t categories);
  Result<HeadLogits> apply(const Pair& pair, std::span<const float> hidden) const;

  std::shared_ptr<const model::Model> model_;
  Pair query_;
  Pair response_;
};

}  // namespace qwen3guard::heads
