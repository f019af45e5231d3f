#include "training/recipe.h"

#include <gtest/gtest.h>

#include "bytes/json.h"
#include "training/schedule.h"

namespace qwen3guard::training {
namespace {

Result<Recipe> parse(const std::string& text) {
  auto json = bytes::parse_json(text);
  EXPECT_TRUE(json.ok());
  return parse_recipe(*json, "/folder");
}

TEST(Recipe, ReadsWhatItIsGiven) {
  const auto recipe = parse(R"({"name": "n", "categories": "c.json", "model": {"hidden_size": 64},
      "data": {"factors": {"cold": 0.5}}, "loss": {"token_label_rule": "warm_ramp", "ramp_tokens": 7},
      "optimizer": {"schedule": "linear", "steps": 10}})");
  ASSERT_TRUE(recipe.ok()) << recipe.error().message;
  EXPECT_EQ(recipe->categories, "/folder/c.json");
  EXPECT_EQ(recipe->model.hidden_size, 64U);
  EXPECT_EQ(recipe->data.factors.at("cold"), 0.5);
  EXPECT_EQ(recipe->loss.rule, TokenLabelRule::kWarmRamp);
  EXPECT_EQ(recipe->loss.ramp_tokens, 7U);
  EXPECT_FALSE(recipe->optimizer.cosine);
}

TEST(Recipe, RefusesWhatItDoesNotKnow) {
  const std::string start = R"({"name": "n", "categories": "c.json", )";
  for (const char* rest :
       {R"("modle": {}})", R"("model": {"hiden_size": 64}})", R"("model": {"head_dim": 7}})",
        R"("model": {"num_attention_heads": 3}})", R"("model": 3})",
        R"("data": {"held_out_modulus": -1}})", R"("augmentation": {"lower": 1.5}})",
        R"("loss": {"token_label_rule": "some"}})", R"("loss": {"class_weights": [1, 2]}})",
        R"("optimizer": {"schedule": "steps"}})", R"("optimizer": {"steps": 0}})",
        R"("optimizer": {"learning_rate": "fast"}})"}) {
    const auto recipe = parse(start + rest);
    ASSERT_FALSE(recipe.ok()) << rest;
    EXPECT_EQ(recipe.error().code, ErrorCode::kInvalidArgument) << rest;
  }
  EXPECT_FALSE(parse(R"({"name": "n"})").ok());
}

TEST(Recipe, EveryShippedRecipeReads) {
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(QG_SOURCE_DIR) /
                                                              "src/training/recipes")) {
    const auto recipe = read_recipe(file.path());
    EXPECT_TRUE(recipe.ok()) << recipe.error().message;
    if (recipe.ok()) {
      EXPECT_TRUE(std::filesystem::exists(recipe->categories)) << recipe->categories;
    }
    ++count;
  }
  EXPECT_GT(count, 0U);
}

TEST(Schedule, WarmsUpAndDecays) {
  OptimizerOptions o;
  o.steps = 1000;
  o.warmup_steps = 100;
  o.learning_rate = 1.0;
  o.final_rate_share = 0.1;
  EXPECT_NEAR(learning_rate(o, 0), 0.01, 1e-6);
  EXPECT_GT(learning_rate(o, 99), 0.95);
  for (std::size_t step = 100; step + 1 < o.steps; ++step) {
    EXPECT_GE(learning_rate(o, step), learning_rate(o, step + 1));
  }
  EXPECT_NEAR(learning_rate(o, 999), 0.1, 1e-4);
  o.cosine = false;
  EXPECT_NEAR(learning_rate(o, 500), 0.55, 1e-6);
}

}  // namespace
}  // namespace qwen3guard::training
