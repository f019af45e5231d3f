// Responses that outgrow max_position_embeddings.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "paths.h"
#include "qwen3guard/guard.h"
#include "random_checkpoint.h"

namespace qwen3guard {
namespace {

std::string long_text(std::size_t words) {
  std::string text;
  for (std::size_t i = 0; i < words; ++i) text += i % 7 == 0 ? " and" : " the";
  return text;
}

class WindowTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = test::write_random_checkpoint(
        {.hidden = 16, .layers = 1, .intermediate = 16, .max_positions = 256},
        golden_tokenizer_file());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  Guard load(Overflow overflow) {
    auto guard = Guard::load(directory_, {.threads = 1, .overflow = overflow});
    EXPECT_TRUE(guard.ok()) << guard.error().message;
    return *guard;
  }
  std::filesystem::path directory_;
  const Conversation prompt_ = {{Role::kUser, "Count."}};
};

TEST_F(WindowTest, TheDefaultIsAnError) {
  const Guard guard = load(Overflow::kError);
  auto session = guard.open(prompt_, Policy::strict());
  ASSERT_TRUE(session.ok());
  ASSERT_TRUE(session->append(long_text(200)).ok());
  const auto more = session->append(long_text(200));
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, ErrorCode::kTooLong);
  EXPECT_FALSE(session->finish().ok()) << "the rest was never judged";
}

TEST_F(WindowTest, SlidingJudgesTwentyThousandTokensHoweverTheyAreCut) {
  const Guard guard = load(Overflow::kSlide);
  const std::string text = long_text(20000);
  auto one = guard.open(prompt_, Policy::strict());
  ASSERT_TRUE(one.ok() && one->append(text).ok() && one->finish().ok());
  ASSERT_GE(one->tokens().size(), 20000u);
  EXPECT_TRUE(one->response().window_slid);

  auto pieces = guard.open(prompt_, Policy::strict());
  ASSERT_TRUE(pieces.ok());
  for (std::size_t i = 0, n = 1; i < text.size(); i += n, n = n * 7 % 997 + 1) {
    ASSERT_TRUE(pieces->append(std::string_view(text).substr(i, n)).ok());
  }
  ASSERT_TRUE(pieces->finish().ok());
  ASSERT_EQ(pieces->tokens().size(), one->tokens().size());
  for (std::size_t i = 0; i < one->tokens().size(); ++i) {
    ASSERT_EQ(one->tokens()[i].verdict.probabilities.p, pieces->tokens()[i].verdict.probabilities.p)
        << i;
  }
}

TEST_F(WindowTest, RollBackAcrossASlideEqualsNeverHavingGoneThere) {
  const Guard guard = load(Overflow::kSlide);
  const std::string text = long_text(1000);
  for (const std::size_t keep : {10u, 200u, 300u, 500u, 990u}) {
    auto there = guard.open(prompt_, Policy::strict());
    ASSERT_TRUE(there.ok() && there->append(text).ok());
    const std::size_t bytes = there->tokens()[keep].byte_begin;
    ASSERT_TRUE(there->roll_back(keep).ok());
    ASSERT_TRUE(there->append(" back again").ok() && there->finish().ok());
    auto direct = guard.open(prompt_, Policy::strict());
    ASSERT_TRUE(direct.ok() && direct->append(text.substr(0, bytes) + " back again").ok() &&
                direct->finish().ok());
    ASSERT_EQ(there->tokens().size(), direct->tokens().size());
    for (std::size_t i = keep; i < direct->tokens().size(); ++i) {
      EXPECT_EQ(there->tokens()[i].verdict.probabilities.p,
                direct->tokens()[i].verdict.probabilities.p)
          << i;
    }
    EXPECT_EQ(there->response().window_slid, direct->response().window_slid);
  }
}

TEST_F(WindowTest, APromptThatFillsTheModelIsAnErrorEvenWhenSliding) {
  const Guard guard = load(Overflow::kSlide);
  const auto verdict = guard.moderate({{Role::kUser, long_text(300)}}, Policy::strict());
  ASSERT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.error().code, ErrorCode::kTooLong);
  const auto response = guard.moderate(
      {{Role::kUser, long_text(150)}, {Role::kAssistant, long_text(300)}}, Policy::strict());
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kTooLong);
}

}  // namespace
}  // namespace qwen3guard
