// What is known of a response while it is being written: judged tokens, debounce state, verdict so
// far.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "qwen3guard/guard.h"
#include "verdict/debounce.h"

namespace qwen3guard::engine {

/// Pure bookkeeping, no model. The policy labels tokens first, then labels are debounced.
class JudgedResponse {
 public:
  explicit JudgedResponse(const Policy& policy);

  std::span<const JudgedToken> tokens() const { return tokens_; }
  void push(JudgedToken token);
  void truncate(std::size_t size);

  /// Flagged: the flagged token's probabilities and category. Not flagged: those of the position
  /// that maximises min(p(i-1), p(i)) of not-Safe; the risk is then Unsafe (or Controversial) where
  /// two tokens in a row were Unsafe (or not Safe) but the policy let them pass, else Safe.
  Verdict verdict() const;

 private:
  void track_peak(std::size_t token);

  Policy policy_;
  std::vector<JudgedToken> tokens_;
  verdict::Debouncer flagged_;   // under the policy
  verdict::Debouncer not_safe_;  // the model's own classes, not Safe twice
  verdict::Debouncer unsafe_;    // the model's own classes, Unsafe twice
  std::size_t peak_ = 0;
  float peak_score_ = -1.0f;
};

}  // namespace qwen3guard::engine
