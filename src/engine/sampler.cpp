#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/try.h"

namespace qwen3guard::engine {
namespace {

struct Candidate {
  std::int32_t id;
  double score;  // penalised logit
  double mass;   // probability, not normalised
};

// A strict order of all candidates, so that cuts do not depend on a library's sort.
bool more_probable(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score > b.score : a.id < b.id;
}

Error invalid(const char* option, const char* expected, float found) {
  return {ErrorCode::kInvalidArgument,
          std::string(option) + ": expected " + expected + ", found " + std::to_string(found)};
}

// Computed from the logit, not from the score: an id that occurs twice is penalised once.
void penalise(std::span<const float> logits, std::span<const std::int32_t> history, float penalty,
              std::vector<Candidate>& candidates) {
  for (const std::int32_t id : history) {
    const auto i = static_cast<std::size_t>(id);
    if (i >= logits.size()) continue;
    const double logit = logits[i], factor = penalty;  // as floats they could overflow
    candidates[i].score = logit > 0 ? logit / factor : logit * factor;
  }
}

void keep_top_k(std::size_t k, std::vector<Candidate>& candidates) {
  if (k == 0 || k >= candidates.size()) return;
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(candidates.begin(), end, candidates.end(), more_probable);
  candidates.erase(end, candidates.end());
}

void keep_top_p(float p, std::vector<Candidate>& candidates) {
  if (p >= 1) return;
  double total = 0;
  for (const Candidate& c : candidates) total += c.mass;
  // A heap, because a handful of a large vocabulary usually holds the mass: what is kept gathers at
  // the end.
  const auto less_probable = [](const Candidate& a, const Candidate& b) {
    return more_probable(b, a);
  };
  std::make_heap(candidates.begin(), candidates.end(), less_probable);
  auto kept = candidates.end();
  for (double before = 0; kept != candidates.begin() && before < p * total; before += kept->mass) {
    std::pop_heap(candidates.begin(), kept, less_probable);
    --kept;
  }
  candidates.erase(candidates.begin(), kept);
}

std::int32_t draw(const std::vector<Candidate>& candidates, double uniform) {
  double total = 0;
  for (const Candidate& c : candidates) total += c.mass;
  double sum = 0;
  std::int32_t chosen = 0;
  for (const Candidate& c : candidates) {
    if (c.mass == 0) continue;
    chosen = c.id;  // the last one, should rounding leave the sum short
    sum += c.mass;
    if (sum > uniform * total) break;
  }
  return chosen;
}

}  // namespace

Status check_sampling(const GenerateOptions& options) {
  if (!(options.temperature >= 0 && std::isfinite(options.temperature)))
    return invalid("temperature", "0 (greedy) or more", options.temperature);
  if (!(options.top_p > 0 && options.top_p <= 1))
    return invalid("top_p", "more than 0, at most 1", options.top_p);
  if (!(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty)))
    return invalid("repetition_penalty", "more than 0", options.repetition_penalty);
  return {};
}

Result<std::int32_t> choose_token(std::span<const float> logits, const GenerateOptions& options,
                                  std::span<const std::int32_t> history, double uniform) {
  thread_local std::vector<Candidate> candidates;
  candidates.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i])) {
      return Error{ErrorCode::kNonFinite,
                   "the LM head gave NaN or infinity for token " + std::to_string(i) +
                       ": its weights are broken; check them with `qwen3guard inspect`"};
    }
    candidates[i] = {static_cast<std::int32_t>(i), logits[i], 0};
  }
  if (options.repetition_penalty != 1)
    penalise(logits, history, options.repetition_penalty, candidates);
  const Candidate best = *std::min_element(candidates.begin(), candidates.end(), more_probable);
  if (options.temperature == 0) return best.id;

  keep_top_k(options.top_k, candidates);
  for (Candidate& c : candidates) c.mass = std::exp((c.score - best.score) / options.temperature);
  keep_top_p(options.top_p, candidates);
  const bool reordered = options.top_p < 1 || candidates.size() < logits.size();
  if (reordered) {
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  }
  return draw(candidates, uniform);
}

LogProbabilities::LogProbabilities(std::span<const float> logits) : logits_(logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  log_sum_ = largest + std::log(sum);
}

float LogProbabilities::of(std::int32_t id) const {
  return static_cast<float>(double{logits_[static_cast<std::size_t>(id)]} - log_sum_);
}

std::vector<TokenLogprob> LogProbabilities::top(std::size_t count) const {
  if (count == 0) return {};
  std::vector<std::int32_t> ids(logits_.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + static_cast<std::ptrdiff_t>(std::min(count, ids.size()));
  std::partial_sort(ids.begin(), end, ids.end(), [&](std::int32_t a, std::int32_t b) {
    const float x = logits_[static_cast<std::size_t>(a)], y = logits_[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<TokenLogprob> top;
  for (auto id = ids.begin(); id != end; ++id) top.push_back({*id, of(*id)});
  return top;
}

}  // namespace qwen3guard::engine
