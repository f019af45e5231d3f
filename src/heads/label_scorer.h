// Scoring of a fixed set of label texts by a causal LM: a trie over their tokens instead of a
// decode loop.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/model.h"
#include "qwen3guard/result.h"

namespace qwen3guard::heads {

/// The state of a causal LM after some tokens: its cache and the last final-normed state.
struct LmState {
  model::KvCache cache;
  std::vector<float> hidden;  // [hidden_size] of the last token read
};

/// Reads one sequence: Model::forward, or a scheduler's way of it.
using ReadSequence = std::function<Status(const model::Sequence&)>;

/// Reads `ids` into `state`. Errors: those of `read`; the state is unchanged then.
Status read_tokens(const model::Model& model, const ReadSequence& read,
                   std::span<const std::int32_t> ids, LmState& state);

/// Probability of each label as the continuation of `state`, given that it is one of them: at every
/// branching of the trie of `labels`, a softmax over the children only; a path's probabilities
/// multiply. `state` is left as it was. REQUIRES: labels non-empty, distinct, none a prefix of
/// another.
Result<std::vector<float>> score_labels(const model::Model& model, const ReadSequence& read,
                                        const std::vector<std::vector<std::int32_t>>& labels,
                                        LmState& state);

}  // namespace qwen3guard::heads
