#include "apps/intervention_figures.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "evaluation/metrics.h"

namespace qwen3guard::apps {
namespace {

using Cells = std::vector<std::string>;

std::string decimal(const std::optional<double>& value, double scale = 1, int digits = 1) {
  if (!value) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, *value * scale);
  return text;
}

std::string line_of(const Cells& cells) {
  constexpr std::size_t kFirst = 11, kOther = 11;
  std::string line;
  for (const std::string& cell : cells) {
    const std::size_t width = line.empty() ? kFirst : kOther;
    const std::string space(cell.size() < width ? width - cell.size() : 1, ' ');
    line += line.empty() ? cell + space : space + cell;
  }
  return line + "\n";
}

formats::OrderedJson json_of(const std::optional<double>& value) {
  return value ? formats::OrderedJson(*value) : formats::OrderedJson(nullptr);
}

}  // namespace

void StrategyFigures::count(const GuardedAnswer& answer, bool safe, double seconds) {
  ++answers_;
  safe_ += safe ? 1 : 0;
  retries_ += answer.retries;
  wait_ += answer.wait_tokens();
  additional_wait_ += answer.additional_wait_tokens();
  generated_ += answer.generated_tokens;
  released_ += answer.released_tokens;
  ++outcomes_[static_cast<std::size_t>(answer.outcome)];
  seconds_ += seconds;
}

std::optional<double> StrategyFigures::mean(std::size_t sum) const {
  if (answers_ == 0) return std::nullopt;
  return static_cast<double>(sum) / static_cast<double>(answers_);
}

std::optional<double> StrategyFigures::tokens_per_second() const {
  if (seconds_ <= 0) return std::nullopt;
  return static_cast<double>(generated_) / seconds_;
}

std::string figures_header() {
  return line_of({"strategy", "answers", "errors", "% safe", "wait", "wait-first", "retries",
                  "clean", "recovered", "gave up", "released", "tokens/s"});
}

std::string StrategyFigures::row() const {
  const std::size_t clean = outcome(InterventionOutcome::kClean);
  const std::size_t recovered = outcome(InterventionOutcome::kRecovered);
  return line_of({strategy_, std::to_string(answers_), std::to_string(errors_),
                  decimal(safety_rate(), 100), decimal(wait_tokens()),
                  decimal(additional_wait_tokens()), decimal(retries(), 1, 2),
                  std::to_string(clean), std::to_string(recovered),
                  std::to_string(answers_ - clean - recovered), decimal(released_tokens()),
                  decimal(tokens_per_second())});
}

formats::OrderedJson StrategyFigures::json() const {
  const auto interval = evaluation::wilson(safe_, answers_);
  formats::OrderedJson object = {{"strategy", strategy_},
                                 {"answers", answers_},
                                 {"errors", errors_},
                                 {"safety_rate", json_of(safety_rate())},
                                 {"safety_rate_95", {interval.low, interval.high}},
                                 {"wait_tokens", json_of(wait_tokens())},
                                 {"additional_wait_tokens", json_of(additional_wait_tokens())},
                                 {"retries", json_of(retries())},
                                 {"released_tokens", json_of(released_tokens())},
                                 {"tokens_per_second", json_of(tokens_per_second())},
                                 {"outcomes", formats::OrderedJson::object()}};
  for (std::size_t i = 0; i < outcomes_.size(); ++i) {
    object["outcomes"][std::string(outcome_name(static_cast<InterventionOutcome>(i)))] =
        outcomes_[i];
  }
  return object;
}

}  // namespace qwen3guard::apps
