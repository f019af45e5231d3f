#include "verdict/debounce.h"

#include "base/check.h"

namespace qwen3guard {

std::string_view debounce_rule_name(DebounceRule rule) {
  return rule == DebounceRule::kPaper ? "paper" : "official-eval";
}

std::optional<DebounceRule> parse_debounce_rule(std::string_view name) {
  for (const DebounceRule rule : {DebounceRule::kPaper, DebounceRule::kOfficialEval}) {
    if (debounce_rule_name(rule) == name) return rule;
  }
  return std::nullopt;
}

}  // namespace qwen3guard

namespace qwen3guard::verdict {

std::optional<std::size_t> Debouncer::pair_kind(std::size_t token) const {
  if (token == 0) return std::nullopt;
  const Risk before = labels_[token - 1].risk;
  const Risk here = labels_[token].risk;
  if (before == Risk::kSafe || here == Risk::kSafe) return std::nullopt;
  if (rule_ == DebounceRule::kPaper) return 0;
  if (before != here) return std::nullopt;
  return here == Risk::kUnsafe ? 0 : 1;
}

void Debouncer::record(std::size_t token) {
  const std::optional<std::size_t> kind = pair_kind(token);
  if (!kind) return;
  auto& first = first_[labels_[token].action == Decision::kBlock ? 0 : 1][*kind];
  if (!first) first = token;
}

void Debouncer::push(TokenLabel label) {
  QG_CHECK((label.risk == Risk::kSafe) == (label.action == Decision::kAllow));
  labels_.push_back(label);
  record(labels_.size() - 1);
}

void Debouncer::truncate(std::size_t size) {
  QG_CHECK(size <= labels_.size());
  labels_.resize(size);
  first_ = {};
  for (std::size_t token = 0; token < size; ++token) record(token);
}

std::optional<Debouncer::Flag> Debouncer::flag() const {
  for (const auto& kinds : first_) {
    for (const std::optional<std::size_t>& token : kinds) {
      if (token) return Flag{*token, labels_[*token].action};
    }
  }
  return std::nullopt;
}

}  // namespace qwen3guard::verdict
