// What the guard says: risk, category, probabilities, and where it was flagged.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qwen3guard {

/// In the class order of the official heads (which is not an order of severity).
enum class Risk { kSafe = 0, kUnsafe = 1, kControversial = 2 };
inline constexpr std::size_t kRiskCount = 3;

/// In the class order of the official heads. Responses use the first eight, queries all nine.
enum class Category {
  kViolent = 0,
  kSexual = 1,
  kSelfHarm = 2,
  kPolitical = 3,
  kPii = 4,
  kCopyright = 5,
  kIllegalActs = 6,
  kUnethical = 7,
  kJailbreak = 8,
};
inline constexpr std::size_t kQueryCategoryCount = 9;
inline constexpr std::size_t kResponseCategoryCount = 8;

/// "Safe", "Unsafe", "Controversial".
std::string_view risk_name(Risk risk);
/// The official long name, for example "Suicide & Self-Harm".
std::string_view category_name(Category category);
std::optional<Risk> parse_risk(std::string_view name);
std::optional<Category> parse_category(std::string_view name);

/// Probabilities in class order; they sum to 1.
struct RiskProbabilities {
  std::array<float, kRiskCount> p{};
  float operator[](Risk risk) const { return p[static_cast<std::size_t>(risk)]; }
  float not_safe() const { return p[1] + p[2]; }
};

enum class Target { kPrompt, kResponse };
enum class Decision { kAllow, kFlag, kBlock };
std::string_view target_name(Target target);
std::string_view decision_name(Decision decision);

/// What a policy makes of one judged token (or of a prompt, which has only one).
/// Invariant: risk is Safe if and only if action is kAllow.
struct TokenLabel {
  Risk risk = Risk::kSafe;
  Decision action = Decision::kAllow;
};

/// How many odd tokens make a flag.
enum class DebounceRule {
  /// The report, section 4.4: flag at i when tokens i-1 and i are both not Safe.
  kPaper,
  /// The official evaluation script: two equal labels in a row, Unsafe pairs anywhere before
  /// Controversial ones. Mixed pairs never fire, and a later Unsafe pair replaces an earlier
  /// Controversial one.
  kOfficialEval,
};
std::string_view debounce_rule_name(DebounceRule rule);  // "paper", "official-eval"
std::optional<DebounceRule> parse_debounce_rule(std::string_view name);

/// Where a response was flagged: the token's index in the response (from 0, thinking included), and
/// where that token starts in the original text of the message, in bytes and in code points.
struct FlagPosition {
  std::size_t token = 0;
  std::size_t byte = 0;
  std::size_t character = 0;
  bool thinking = false;  // counted in the message's reasoning_content instead of its content
  bool operator==(const FlagPosition&) const = default;
};

/// The judgement of one token of a response, or of a whole prompt.
struct TokenVerdict {
  Risk risk = Risk::kSafe;           // the model's own class: the most probable one
  std::optional<Category> category;  // the most probable category; none when Safe
  RiskProbabilities probabilities;
  /// Softmax over the 9 (prompt) or 8 (response) categories.
  std::array<float, kQueryCategoryCount> category_probabilities{};
};

/// The judgement of a prompt or a response under a policy.
struct Verdict {
  Target target = Target::kPrompt;
  Risk risk = Risk::kSafe;
  std::optional<Category> category;
  RiskProbabilities probabilities;
  std::array<float, kQueryCategoryCount> category_probabilities{};
  std::optional<bool> refusal;  // Gen only
  std::optional<FlagPosition> flagged;
  Decision decision = Decision::kAllow;
  std::size_t tokens = 0;  // tokens the model read for this conversation
  bool window_slid =
      false;  // the response outgrew the model and was judged through a sliding window
};

}  // namespace qwen3guard
