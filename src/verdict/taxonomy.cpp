#include <array>

#include "qwen3guard/verdict.h"

namespace qwen3guard {
namespace {

constexpr std::array<std::string_view, kRiskCount> kRiskNames = {"Safe", "Unsafe", "Controversial"};
constexpr std::array<std::string_view, kQueryCategoryCount> kCategoryNames = {
    "Violent",
    "Sexual Content or Sexual Acts",
    "Suicide & Self-Harm",
    "Politically Sensitive Topics",
    "PII",
    "Copyright Violation",
    "Non-violent Illegal Acts",
    "Unethical Acts",
    "Jailbreak",
};

template <typename Enum, std::size_t N>
std::optional<Enum> parse(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view risk_name(Risk risk) { return kRiskNames[static_cast<std::size_t>(risk)]; }
std::string_view category_name(Category category) {
  return kCategoryNames[static_cast<std::size_t>(category)];
}
std::optional<Risk> parse_risk(std::string_view name) { return parse<Risk>(kRiskNames, name); }
std::optional<Category> parse_category(std::string_view name) {
  return parse<Category>(kCategoryNames, name);
}

std::string_view target_name(Target target) {
  return target == Target::kPrompt ? "prompt" : "response";
}

std::string_view decision_name(Decision decision) {
  switch (decision) {
    case Decision::kAllow:
      return "allow";
    case Decision::kFlag:
      return "flag";
    case Decision::kBlock:
      return "block";
  }
  return "block";
}

}  // namespace qwen3guard
