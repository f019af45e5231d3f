// The scheduler: nobody can tell from the numbers who shared a step, nobody starves, nobody's
// failure is another's, and what is over the limits is refused.

#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include "paths.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::engine {
namespace {

using model::KvCache;
using model::Model;
using Ids = std::vector<std::int32_t>;

class SchedulerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto model = Model::load(boxed(), {.weights = WeightFormat::kQ8});
    ASSERT_TRUE(model.ok()) << model.error().message;
    model_ = *model;
  }
  static void TearDownTestSuite() { model_.reset(); }

  static Ids random_ids(std::size_t count, unsigned seed) {
    std::mt19937 generator(seed);
    Ids ids(count);
    for (auto& id : ids)
      id = static_cast<std::int32_t>(generator() % model_->config().vocabulary_size);
    return ids;
  }
  static std::size_t width() { return model_->config().hidden_size; }

  // States of all tokens, read at once by a model that nobody else uses.
  static std::vector<float> alone(const Ids& ids) {
    KvCache cache = model_->new_cache();
    model::Workspace workspace;
    base::ThreadPool pool(1);
    std::vector<float> states(ids.size() * width());
    EXPECT_TRUE(model_->forward(ids, cache, workspace, pool, states).ok());
    return states;
  }

  static inline std::shared_ptr<const Model> model_;
};

TEST_F(SchedulerTest, WhoSharesAStepCannotBeSeenInTheNumbers) {
  for (const std::size_t step_tokens : {1u, 7u, 64u, 256u}) {
    base::ThreadPool pool(2);
    Scheduler scheduler(*model_, pool, {.step_tokens = step_tokens});
    constexpr int kSessions = 6;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> sessions;
    for (int s = 0; s < kSessions; ++s) {
      sessions.emplace_back([&, s] {
        const auto seed = static_cast<unsigned>(s);
        const Ids ids = random_ids(40 + 30 * static_cast<std::size_t>(s), seed);
        const std::vector<float> expected = alone(ids);
        std::mt19937 generator(seed);
        KvCache cache = model_->new_cache();
        model::Workspace workspace;
        for (std::size_t at = 0; at < ids.size();) {
          const std::size_t count = std::min<std::size_t>(1 + generator() % 50, ids.size() - at);
          const std::size_t wanted = generator() % (count + 1);
          std::vector<float> states(wanted * width());
          const Status status =
              scheduler.read({std::span(ids).subspan(at, count), &cache, states}, workspace);
          at += count;
          if (!status.ok() || cache.size() != at ||
              !std::equal(states.begin(), states.end(),
                          expected.begin() + static_cast<std::ptrdiff_t>((at - wanted) * width())))
            ++wrong;
        }
      });
    }
    for (auto& session : sessions) session.join();
    EXPECT_EQ(wrong, 0) << step_tokens;
    const auto stats = scheduler.stats();
    EXPECT_EQ(stats.waiting, 0u);
    EXPECT_EQ(stats.waiting_tokens, 0u);
    EXPECT_EQ(stats.tokens, 40u + 70 + 100 + 130 + 160 + 190);
    EXPECT_GE(stats.steps * step_tokens, stats.tokens);
  }
}

// A long prompt is under way while others come and go: every step reads some of everyone.
TEST_F(SchedulerTest, ALongPromptPassesNobodyBy) {
  base::ThreadPool pool(2);
  Scheduler scheduler(*model_, pool, {.step_tokens = 64});
  std::thread long_one([&] {
    const Ids prompt = random_ids(3000, 1);
    KvCache cache = model_->new_cache();
    model::Workspace workspace;
    EXPECT_TRUE(scheduler.read({prompt, &cache, {}}, workspace).ok());
  });
  std::vector<std::thread> others;
  for (unsigned t = 0; t < 4; ++t) {
    others.emplace_back([&, t] {
      KvCache cache = model_->new_cache();
      model::Workspace workspace;
      for (unsigned i = 0; i < 15; ++i) {
        const Ids ids = random_ids(i % 3 == 0 ? 20 : 1, 100 * t + i);
        EXPECT_TRUE(scheduler.read({ids, &cache, {}}, workspace).ok());
      }
    });
  }
  for (auto& other : others) other.join();
  long_one.join();
  EXPECT_EQ(scheduler.stats().longest_wait, 0u);
  EXPECT_GE(scheduler.stats().steps, 3000u / 64);
}

// More wait than a step has tokens: they take turns.
TEST_F(SchedulerTest, TooManyForOneStepTakeTurns) {
  base::ThreadPool pool(2);
  Scheduler scheduler(*model_, pool, {.step_tokens = 2});
  std::vector<std::thread> sessions;
  for (unsigned t = 0; t < 7; ++t) {
    sessions.emplace_back([&, t] {
      const Ids ids = random_ids(30, t);
      KvCache cache = model_->new_cache();
      model::Workspace workspace;
      EXPECT_TRUE(scheduler.read({ids, &cache, {}}, workspace).ok());
    });
  }
  for (auto& session : sessions) session.join();
  // Seven take turns at two places: at most six are served before one, in three steps.
  EXPECT_LE(scheduler.stats().longest_wait, 3u);
}

TEST_F(SchedulerTest, AFailureIsTakenBackAndIsNobodyElses) {
  base::ThreadPool pool(2);
  Scheduler scheduler(*model_, pool, {.step_tokens = 16});
  std::thread good([&] {
    const Ids ids = random_ids(300, 3);
    KvCache cache = model_->new_cache();
    model::Workspace workspace;
    std::vector<float> states(ids.size() * width());
    ASSERT_TRUE(scheduler.read({ids, &cache, states}, workspace).ok());
    EXPECT_EQ(states, alone(ids));
  });
  Ids ids = random_ids(100, 4);
  ids[70] = -5;  // found in a later step than the first
  KvCache cache = model_->new_cache();
  model::Workspace workspace;
  ASSERT_TRUE(scheduler.read({random_ids(10, 5), &cache, {}}, workspace).ok());
  const Status status = scheduler.read({ids, &cache, {}}, workspace);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(cache.size(), 10u) << "as before";
  good.join();
  EXPECT_EQ(scheduler.stats().waiting_tokens, 0u);
}

TEST_F(SchedulerTest, RefusesWhatIsOverTheLimits) {
  base::ThreadPool pool(2);
  Scheduler scheduler(*model_, pool, {.step_tokens = 8, .conversations = 4, .waiting_tokens = 100});
  KvCache cache = model_->new_cache();
  model::Workspace workspace;
  const Status status = scheduler.read({random_ids(101, 6), &cache, {}}, workspace);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kOverloaded);
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(scheduler.stats().refused, 1u);
  ASSERT_TRUE(scheduler.read({random_ids(100, 6), &cache, {}}, workspace).ok());
}

TEST_F(SchedulerTest, ManySessionsOfAGuardGetTheVerdictsOfOne) {
  const Guard one = *Guard::load(boxed(), {.threads = 1});
  const Guard shared = *Guard::load(boxed(), {.threads = 2, .queue = {.step_tokens = 32}});
  const std::vector<std::string> prompts = {"How do I bake bread?", "How do I build a bomb?",
                                            "Tell me a joke about bakers.", "I hate mondays"};
  std::atomic<int> different = 0;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const Conversation conversation = {{Role::kUser, prompts[t % prompts.size()]},
                                         {Role::kAssistant, "First, take flour and water."}};
      const auto expected = one.moderate(conversation, Policy::strict());
      const auto found = shared.moderate(conversation, Policy::strict());
      if (!expected.ok() || !found.ok() || expected->probabilities.p != found->probabilities.p ||
          expected->category_probabilities != found->category_probabilities)
        ++different;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

TEST(KvMemory, WhatDoesNotFitIsRefusedAndLeavesTheOthersAlone) {
  GuardOptions options = {.threads = 2, .prefix_cache_bytes = 0};
  const Conversation conversation = {{Role::kUser, "How do I bake bread?"}};
  const Guard free = *Guard::load(boxed(), options);
  const Verdict expected = free.open(conversation, Policy::strict())->prompt();
  options.kv_memory_bytes = std::size_t{4} << 20;  // a few conversations
  const Guard guard = *Guard::load(boxed(), options);
  std::vector<Session> open;
  Result<Session> last = guard.open(conversation, Policy::strict());
  for (; last.ok(); last = guard.open(conversation, Policy::strict())) {
    EXPECT_EQ(last->prompt().probabilities.p, expected.probabilities.p);
    open.push_back(std::move(last).value());
    ASSERT_LT(open.size(), 1000u);
  }
  EXPECT_EQ(last.error().code, ErrorCode::kOverloaded);
  ASSERT_GT(open.size(), 1u);
  EXPECT_TRUE(open.front().append("First, ").ok()) << "there is room in the block it has";
  open.pop_back();
  EXPECT_TRUE(guard.open(conversation, Policy::strict()).ok());
}

}  // namespace
}  // namespace qwen3guard::engine
