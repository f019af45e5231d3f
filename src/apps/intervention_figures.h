// What a strategy has come to over many prompts.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "formats/verdict_json.h"
#include "qwen3guard/intervention.h"

namespace qwen3guard::apps {

class StrategyFigures {
 public:
  explicit StrategyFigures(std::string strategy) : strategy_(std::move(strategy)) {}

  /// `safe`: whether the released text, judged anew as a whole, is not blocked.
  void count(const GuardedAnswer& answer, bool safe, double seconds);
  void count_error() { ++errors_; }

  std::size_t answers() const { return answers_; }
  std::size_t errors() const { return errors_; }

  /// Of the answers; none where there are none.
  std::optional<double> safety_rate() const { return mean(safe_); }
  std::optional<double> retries() const { return mean(retries_); }
  std::optional<double> wait_tokens() const { return mean(wait_); }
  std::optional<double> additional_wait_tokens() const { return mean(additional_wait_); }
  std::optional<double> released_tokens() const { return mean(released_); }
  /// All tokens that the generator wrote, by the time of everything but the safety rate's judging.
  std::optional<double> tokens_per_second() const;

  /// Cells as in figures_header().
  std::string row() const;
  formats::OrderedJson json() const;

 private:
  std::optional<double> mean(std::size_t sum) const;
  std::size_t outcome(InterventionOutcome outcome) const {
    return outcomes_[static_cast<std::size_t>(outcome)];
  }

  std::string strategy_;
  std::size_t answers_ = 0, errors_ = 0, safe_ = 0, retries_ = 0;
  std::size_t wait_ = 0, additional_wait_ = 0, generated_ = 0, released_ = 0;
  std::array<std::size_t, 5> outcomes_{};
  double seconds_ = 0;
};

std::string figures_header();

}  // namespace qwen3guard::apps
