// From verdict to action: strict or loose, with thresholds and actions per category.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "qwen3guard/result.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard {

/// Pure and immutable once made; versioned file format in docs/formats/policy.md.
class Policy {
 public:
  enum class Mode {
    kStrict,  // Controversial counts as Unsafe
    kLoose,   // Controversial counts as Safe
  };
  struct Rule {
    Decision action = Decision::kBlock;
    /// Flag at P(Unsafe) (loose) or P(Unsafe) + P(Controversial) (strict) of at least this; none:
    /// when the most probable class says so.
    std::optional<float> threshold;
  };
  using Rules = std::array<Rule, kQueryCategoryCount>;

  static Policy strict();
  static Policy loose();
  /// Errors: kInvalidJson, kInvalidArgument (an unknown key, category, value or version; names it).
  static Result<Policy> parse(std::string_view json);
  /// "strict", "loose", or the path of a policy file.
  static Result<Policy> load(const std::string& name_or_path);

  const std::string& name() const { return name_; }
  Mode mode() const { return mode_; }
  DebounceRule debounce() const { return debounce_; }
  const Rules& rules(Target target) const {
    return target == Target::kPrompt ? prompt_rules_ : response_rules_;
  }

  /// The policy's first step, before debouncing: the rule of the token's most probable category
  /// decides.
  TokenLabel label(const TokenVerdict& token, Target target) const;

 private:
  friend class PolicyParser;
  std::string name_ = "strict";
  Mode mode_ = Mode::kStrict;
  DebounceRule debounce_ = DebounceRule::kPaper;
  Rules prompt_rules_{};
  Rules response_rules_{};
};

}  // namespace qwen3guard
