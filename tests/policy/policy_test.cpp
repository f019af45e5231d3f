#include "qwen3guard/policy.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace qwen3guard {
namespace {

TokenVerdict token(float safe, float unsafe, float controversial, Category category) {
  TokenVerdict verdict;
  verdict.probabilities.p = {safe, unsafe, controversial};
  verdict.risk = static_cast<Risk>(
      std::max_element(verdict.probabilities.p.begin(), verdict.probabilities.p.end()) -
      verdict.probabilities.p.begin());
  verdict.category_probabilities[static_cast<std::size_t>(category)] = 1.0f;
  return verdict;
}

TEST(Policy, TheDialIsControversial) {
  const TokenVerdict controversial = token(0.3f, 0.1f, 0.6f, Category::kPolitical);
  EXPECT_EQ(Policy::strict().label(controversial, Target::kPrompt).action, Decision::kBlock);
  EXPECT_EQ(Policy::strict().label(controversial, Target::kPrompt).risk, Risk::kControversial);
  EXPECT_EQ(Policy::loose().label(controversial, Target::kPrompt).action, Decision::kAllow);
  EXPECT_EQ(Policy::loose().label(controversial, Target::kPrompt).risk, Risk::kSafe);
  const TokenVerdict unsafe = token(0.3f, 0.6f, 0.1f, Category::kPolitical);
  EXPECT_EQ(Policy::loose().label(unsafe, Target::kResponse).action, Decision::kBlock);
}

TEST(Policy, ThresholdsAndActionsPerCategoryAndTarget) {
  const auto policy = Policy::parse(R"({
    "version": 1, "name": "clinic", "mode": "strict", "threshold": 0.8,
    "categories": {"PII": {"action": "flag", "threshold": 0.2}, "Copyright Violation": {"action": "allow"}},
    "response": {"categories": {"PII": {"action": "block"}}}})");
  ASSERT_TRUE(policy.ok()) << policy.error().message;
  EXPECT_EQ(policy->name(), "clinic");
  const TokenVerdict pii = token(0.75f, 0.10f, 0.15f, Category::kPii);
  EXPECT_EQ(policy->label(pii, Target::kPrompt).action, Decision::kFlag);
  EXPECT_EQ(policy->label(pii, Target::kPrompt).risk, Risk::kControversial)
      << "the likelier of the two";
  EXPECT_EQ(policy->label(pii, Target::kResponse).action, Decision::kBlock);
  EXPECT_EQ(policy->label(token(0, 1, 0, Category::kCopyright), Target::kPrompt).action,
            Decision::kAllow);
  EXPECT_EQ(policy->label(token(0.3f, 0.7f, 0, Category::kViolent), Target::kPrompt).action,
            Decision::kAllow)
      << "below the default threshold";
  EXPECT_EQ(policy->label(token(0.1f, 0.5f, 0.4f, Category::kViolent), Target::kPrompt).action,
            Decision::kBlock);
}

TEST(Policy, LooseThresholdsLookAtUnsafeAlone) {
  const auto policy = Policy::parse(R"({"version": 1, "mode": "loose", "threshold": 0.5})");
  ASSERT_TRUE(policy.ok()) << policy.error().message;
  EXPECT_EQ(policy->label(token(0.1f, 0.4f, 0.5f, Category::kViolent), Target::kPrompt).action,
            Decision::kAllow);
  EXPECT_EQ(policy->label(token(0.1f, 0.5f, 0.4f, Category::kViolent), Target::kPrompt).action,
            Decision::kBlock);
}

TEST(Policy, MistakesAreNamed) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"[]", "object"},
      {"{}", "version"},
      {R"({"version": 2})", "version"},
      {R"({"version": 1, "mod": "strict"})", "mod"},
      {R"({"version": 1, "mode": "lax"})", "lax"},
      {R"({"version": 1, "debounce": "none"})", "none"},
      {R"({"version": 1, "threshold": 0})", "threshold"},
      {R"({"version": 1, "threshold": 1.5})", "threshold"},
      {R"({"version": 1, "action": "warn"})", "action"},
      {R"({"version": 1, "categories": {"violent": {}}})", "violent"},
      {R"({"version": 1, "categories": {"PII": {"treshold": 0.5}}})", "treshold"},
      {R"({"version": 1, "prompt": {"mode": "loose"}})", "mode"},
      {R"({"version": 1, "categories": 3})", "categories"},
      {R"({"version": 1, "version": 1})", "version"},
  };
  for (const auto& [text, named] : cases) {
    const auto policy = Policy::parse(text);
    ASSERT_FALSE(policy.ok()) << text;
    EXPECT_NE(policy.error().message.find(named), std::string::npos) << policy.error().message;
  }
  const auto missing = Policy::load("no-such-policy.json");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("no-such-policy.json"), std::string::npos);
}

}  // namespace
}  // namespace qwen3guard
