#include "verdict/gen_answer.h"

#include <gtest/gtest.h>

namespace qwen3guard::verdict {
namespace {

TEST(GenAnswer, ReadsBothVariants) {
  const auto prompt =
      parse_gen_answer("Safety: Controversial\nCategories: Jailbreak\n", Target::kPrompt);
  ASSERT_TRUE(prompt.ok()) << prompt.error().message;
  EXPECT_EQ(prompt->risk, Risk::kControversial);
  EXPECT_EQ(prompt->categories, std::vector{Category::kJailbreak});
  EXPECT_FALSE(prompt->refusal.has_value());

  const auto response = parse_gen_answer(
      "Safety: Unsafe\nCategories: Suicide & Self-Harm, Violent\nRefusal: No", Target::kResponse);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->categories, (std::vector{Category::kSelfHarm, Category::kViolent}));
  EXPECT_EQ(response->refusal, false);

  const auto safe =
      parse_gen_answer("Safety: Safe\r\nCategories: None \nRefusal: Yes\n\n", Target::kResponse);
  ASSERT_TRUE(safe.ok()) << safe.error().message;
  EXPECT_TRUE(safe->categories.empty());
  EXPECT_EQ(safe->refusal, true);
}

TEST(GenAnswer, WhatIsNotAVerdictIsAnErrorNeverSafe) {
  for (const char* text :
       {"", "\n", "Safe", "safety: Safe\nCategories: None", "Safety: safe\nCategories: None",
        "Safety:Safe\nCategories: None", "Safety: Safe", "Safety: Safe\nCategories: Violent",
        "Safety: Safe Unsafe\nCategories: None",
        "Safety: Unsafe\nCategories:", "Safety: Unsafe\nCategories: Fun",
        "Safety: Unsafe\nCategories: Violent,PII", "Safety: Unsafe\nCategories: None, PII",
        "Categories: None\nSafety: Safe", "Safety: Safe\nCategories: None\nRefusal: No",
        "Safety: Safe\nCategories: None\nSafety: Safe", "I think: Safety: Safe\nCategories: None",
        "Safety: Safe\n\nCategories: None"}) {
    const auto answer = parse_gen_answer(text, Target::kPrompt);
    ASSERT_FALSE(answer.ok()) << text;
    EXPECT_EQ(answer.error().code, ErrorCode::kUnparseableVerdict);
  }
  for (const char* text :
       {"Safety: Safe\nCategories: None", "Safety: Safe\nCategories: None\nRefusal: Maybe",
        "Safety: Unsafe\nCategories: Jailbreak\nRefusal: No",
        "Safety: Safe\nCategories: None\nRefusal: No\nRefusal: No"}) {
    EXPECT_FALSE(parse_gen_answer(text, Target::kResponse).ok()) << text;
  }
}

TEST(Taxonomy, NamesRoundTripInTheOfficialOrder) {
  EXPECT_EQ(risk_name(static_cast<Risk>(1)), "Unsafe");
  EXPECT_EQ(risk_name(static_cast<Risk>(2)), "Controversial");
  for (std::size_t i = 0; i < kQueryCategoryCount; ++i) {
    const auto category = static_cast<Category>(i);
    EXPECT_EQ(parse_category(category_name(category)), category);
  }
  EXPECT_EQ(parse_category("violent"), std::nullopt);
}

}  // namespace
}  // namespace qwen3guard::verdict
