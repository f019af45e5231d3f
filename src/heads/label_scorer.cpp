#include "heads/label_scorer.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/try.h"

namespace qwen3guard::heads {
namespace {

using Ids = std::vector<std::int32_t>;

class TrieWalk {
 public:
  TrieWalk(const model::Model& model, const ReadSequence& read, const std::vector<Ids>& labels)
      : model_(model), read_(read), labels_(labels), scores_(labels.size()) {}

  // Spreads `probability` over `members`, labels that share their first `depth` tokens; `state` has
  // read the first `read` of those.
  Status spread(const std::vector<std::size_t>& members, std::size_t depth, std::size_t read,
                LmState& state, float probability) {
    if (members.size() == 1) {
      scores_[members.front()] = probability;
      return {};
    }
    Ids children;
    for (const std::size_t m : members) {
      QG_CHECK(depth < labels_[m].size());
      const std::int32_t id = labels_[m][depth];
      if (std::find(children.begin(), children.end(), id) == children.end()) children.push_back(id);
    }
    if (children.size() == 1) return spread(members, depth + 1, read, state, probability);

    const std::size_t held = state.cache.size();
    const std::vector<float> hidden = state.hidden;
    const Ids& path = labels_[members.front()];
    QG_CHECK_OK(read_tokens(model_, read_, std::span(path).subspan(read, depth - read), state));
    std::vector<float> logits(children.size());
    QG_CHECK_OK(model_.lm_logits(state.hidden, children, logits));
    if (!std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); })) {
      return Error{ErrorCode::kNonFinite,
                   "the LM head produced NaN or infinity: its weights are broken"};
    }
    kernels::softmax(logits.data(), logits.size());
    for (std::size_t c = 0; c < children.size(); ++c) {
      std::vector<std::size_t> below;
      for (const std::size_t m : members) {
        if (labels_[m][depth] == children[c]) below.push_back(m);
      }
      QG_CHECK_OK(spread(below, depth + 1, depth, state, probability * logits[c]));
    }
    state.cache.truncate(held);
    state.hidden = hidden;
    return {};
  }

  std::vector<float> take() { return std::move(scores_); }

 private:
  const model::Model& model_;
  const ReadSequence& read_;
  const std::vector<Ids>& labels_;
  std::vector<float> scores_;
};

}  // namespace

Status read_tokens(const model::Model& model, const ReadSequence& read,
                   std::span<const std::int32_t> ids, LmState& state) {
  if (ids.empty()) return {};
  std::vector<float> last(model.config().hidden_size);
  QG_CHECK_OK(read({ids, &state.cache, last}));
  state.hidden = std::move(last);
  return {};
}

Result<std::vector<float>> score_labels(const model::Model& model, const ReadSequence& read,
                                        const std::vector<Ids>& labels, LmState& state) {
  std::vector<std::size_t> all(labels.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  TrieWalk walk(model, read, labels);
  QG_CHECK_OK(walk.spread(all, 0, 0, state, 1.0f));
  return walk.take();
}

}  // namespace qwen3guard::heads
