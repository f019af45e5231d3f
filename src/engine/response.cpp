#include "engine/response.h"

#include <algorithm>

namespace qwen3guard::engine {

JudgedResponse::JudgedResponse(const Policy& policy)
    : policy_(policy),
      flagged_(policy.debounce()),
      not_safe_(DebounceRule::kPaper),
      unsafe_(DebounceRule::kPaper) {}

void JudgedResponse::track_peak(std::size_t token) {
  float score = tokens_[token].verdict.probabilities.not_safe();
  if (token > 0) score = std::min(score, tokens_[token - 1].verdict.probabilities.not_safe());
  // A first token has no pair yet: any later position replaces it.
  if (peak_score_ < score || token == 1) {
    peak_ = token;
    peak_score_ = score;
  }
}

void JudgedResponse::push(JudgedToken token) {
  const auto label = [](Risk risk) {
    return TokenLabel{risk, risk == Risk::kSafe ? Decision::kAllow : Decision::kBlock};
  };
  token.index = tokens_.size();
  token.label = policy_.label(token.verdict, Target::kResponse);
  flagged_.push(token.label);
  not_safe_.push(label(token.verdict.risk));
  unsafe_.push(label(token.verdict.risk == Risk::kUnsafe ? Risk::kUnsafe : Risk::kSafe));
  tokens_.push_back(std::move(token));
  track_peak(tokens_.size() - 1);
}

void JudgedResponse::truncate(std::size_t size) {
  tokens_.resize(size);
  flagged_.truncate(size);
  not_safe_.truncate(size);
  unsafe_.truncate(size);
  peak_ = 0;
  peak_score_ = -1.0f;
  for (std::size_t token = 0; token < size; ++token) track_peak(token);
}

Verdict JudgedResponse::verdict() const {
  Verdict verdict;
  verdict.target = Target::kResponse;
  if (tokens_.empty()) {
    verdict.probabilities.p = {1.0f, 0.0f, 0.0f};
    return verdict;
  }
  const auto flag = flagged_.flag();
  const auto not_safe = not_safe_.flag();
  const auto unsafe = unsafe_.flag();
  std::size_t source = peak_;
  std::size_t named = peak_;
  if (flag) {
    source = named = flag->token;
    verdict.risk = tokens_[source].label.risk;
    verdict.decision = flag->action;
    const JudgedToken& token = tokens_[source];
    verdict.flagged = FlagPosition{token.index, token.byte_begin, token.character, token.thinking};
  } else if (unsafe) {
    named = unsafe->token;
    verdict.risk = Risk::kUnsafe;
  } else if (not_safe) {
    named = not_safe->token;
    verdict.risk = Risk::kControversial;
  }
  verdict.probabilities = tokens_[source].verdict.probabilities;
  verdict.category_probabilities = tokens_[source].verdict.category_probabilities;
  if (verdict.risk != Risk::kSafe) {
    const auto& p = tokens_[named].verdict.category_probabilities;
    const auto end = p.begin() + kResponseCategoryCount;
    verdict.category = static_cast<Category>(std::max_element(p.begin(), end) - p.begin());
  }
  return verdict;
}

}  // namespace qwen3guard::engine
