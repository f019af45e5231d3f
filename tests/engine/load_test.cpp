// What a checkpoint needs before it is worth opening a conversation with it.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "paths.h"
#include "qwen3guard/guard.h"
#include "random_checkpoint.h"
#include "tokens/chat_template.h"

namespace qwen3guard {
namespace {

using nlohmann::json;

class LoadTest : public testing::TestWithParam<bool> {
 protected:
  LoadTest() {
    directory_ = test::write_random_checkpoint(
        {.guard = GetParam(), .hidden = 16, .layers = 1, .intermediate = 16},
        golden_tokenizer_file());
    std::ifstream file(tokenizer());
    tokenizer_ = json::parse(file);
  }
  ~LoadTest() override { std::filesystem::remove_all(directory_); }

  Result<Guard> load_without(std::initializer_list<std::string_view> tokens) const {
    json added = json::array();
    for (const json& token : tokenizer_["added_tokens"]) {
      const auto content = token["content"].get<std::string>();
      if (std::find(tokens.begin(), tokens.end(), content) == tokens.end()) added.push_back(token);
    }
    EXPECT_EQ(added.size() + tokens.size(), tokenizer_["added_tokens"].size());
    json changed = tokenizer_;
    changed["added_tokens"] = std::move(added);
    std::ofstream(tokenizer()) << changed.dump();
    return Guard::load(directory_, {.threads = 1});
  }
  std::filesystem::path tokenizer() const { return directory_ / "tokenizer.json"; }

  std::filesystem::path directory_;
  json tokenizer_;
};

INSTANTIATE_TEST_SUITE_P(Models, LoadTest, testing::Bool(),
                         [](const auto& guard) { return guard.param ? "Stream" : "Gen"; });

TEST_P(LoadTest, EveryControlTokenOfTheTemplateIsNeeded) {
  for (const std::string_view token : tokens::kControlTokens) {
    const auto guard = load_without({token});
    ASSERT_FALSE(guard.ok()) << token;
    EXPECT_EQ(guard.error().code, ErrorCode::kUnsupported);
    const std::string& message = guard.error().message;
    EXPECT_NE(message.find(directory_.string()), std::string::npos) << message;
    EXPECT_NE(message.find("no added token " + std::string(token) + ";"), std::string::npos)
        << message;
  }
}

TEST_P(LoadTest, AllThatIsMissingIsNamedAtOnce) {
  const auto guard = load_without({"<think>", "</think>"});
  ASSERT_FALSE(guard.ok());
  EXPECT_NE(guard.error().message.find("no added token <think>, </think>;"), std::string::npos)
      << guard.error().message;
}

TEST_P(LoadTest, OtherAddedTokensAreNotNeeded) {
  const auto guard = load_without({"<|endoftext|>", "<tool_call>"});
  ASSERT_TRUE(guard.ok()) << guard.error().message;
  const auto verdict = guard->moderate({{Role::kUser, "hi"}}, Policy::strict());
  EXPECT_TRUE(verdict.ok()) << verdict.error().message;
}

}  // namespace
}  // namespace qwen3guard
