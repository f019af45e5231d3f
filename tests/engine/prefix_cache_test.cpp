// The prefix cache: what it finds, what it forgets, and that nobody can tell from a verdict whether
// it helped.

#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "engine/loaded.h"
#include "engine/session_state.h"
#include "paths.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::engine {
namespace {

model::ModelConfig small() {
  model::ModelConfig config;
  config.layers = 1;
  config.kv_heads = 1;
  config.head_dim = 8;
  return config;
}
constexpr std::size_t kBlockBytes = std::size_t{64} * 8 * 2 * 4;  // keys and values, fp32

std::vector<std::int32_t> ids(std::size_t count, std::int32_t first = 0) {
  std::vector<std::int32_t> result(count);
  std::iota(result.begin(), result.end(), first);
  return result;
}

// What a reader of `tokens` does; returns how many it was spared.
std::size_t read(PrefixCache& cache, const std::vector<std::int32_t>& tokens) {
  model::KvCache kv(small());
  const std::size_t found = cache.fetch(tokens, kv);
  EXPECT_TRUE(kv.grow(tokens.size() - found).ok());
  cache.offer(tokens, kv);
  return found;
}

TEST(PrefixCache, FindsWholeBlocksOfTheSameTokens) {
  PrefixCache cache(10 * kBlockBytes);
  EXPECT_EQ(read(cache, ids(200)), 0u);
  EXPECT_EQ(cache.stats().blocks, 3u);
  EXPECT_EQ(read(cache, ids(200)), 192u);
  EXPECT_EQ(read(cache, ids(192)), 128u) << "the last token is always read";
  auto other = ids(200);
  other[100] = 7;
  EXPECT_EQ(read(cache, other), 64u);
  EXPECT_EQ(read(cache, ids(200, 1)), 0u);
  EXPECT_EQ(read(cache, ids(10)), 0u);
}

TEST(PrefixCache, HandsOutTheBlocksThemselvesAndNobodyWritesToThem) {
  PrefixCache cache(10 * kBlockBytes);
  model::KvCache first(small());
  ASSERT_TRUE(first.grow(130).ok());
  cache.offer(ids(130), first);
  model::KvCache second(small());
  ASSERT_EQ(cache.fetch(ids(130), second), 128u);
  EXPECT_EQ(first.key_block(0, 0, 1), second.key_block(0, 0, 1));
  const std::byte* shared = first.key_block(0, 0, 1);
  first.truncate(100);
  ASSERT_TRUE(first.grow(1).ok());
  EXPECT_NE(first.key_block(0, 0, 1), shared) << "the lender writes to a copy";
  EXPECT_EQ(second.key_block(0, 0, 1), shared);
}

TEST(PrefixCache, ForgetsWhatWasLeastRecentlyUsed) {
  PrefixCache cache(4 * kBlockBytes);
  read(cache, ids(129, 0));     // two blocks
  read(cache, ids(129, 1000));  // two more
  EXPECT_EQ(read(cache, ids(129, 0)), 128u);
  read(cache, ids(65, 2000));  // one too many: the end of the oldest goes
  EXPECT_EQ(cache.stats().bytes, 4 * kBlockBytes);
  EXPECT_EQ(read(cache, ids(129, 0)), 128u);
  EXPECT_EQ(read(cache, ids(65, 1000)), 64u);
}

TEST(PrefixCache, HoldsNothingWithoutMemory) {
  PrefixCache cache(kBlockBytes - 1);
  EXPECT_EQ(read(cache, ids(200)), 0u);
  EXPECT_EQ(cache.stats().blocks, 0u);
  EXPECT_EQ(cache.stats().bytes, 0u);
  EXPECT_EQ(read(cache, ids(200)), 0u);
}

void expect_equal(const Verdict& a, const Verdict& b) {
  EXPECT_EQ(a.risk, b.risk);
  EXPECT_EQ(a.category, b.category);
  EXPECT_EQ(a.probabilities.p, b.probabilities.p);
  EXPECT_EQ(a.category_probabilities, b.category_probabilities);
  EXPECT_EQ(a.refusal, b.refusal);
  EXPECT_EQ(a.tokens, b.tokens);
}

std::filesystem::path toy_gen() {
  return std::filesystem::path(QG_TEST_DATA) / "models" / "toy-gen";
}

TEST(PrefixCache, VerdictsAreTheSameBitsWithAndWithout) {
  for (const auto& directory : {toy_gen(), boxed()}) {
    for (const WeightFormat weights : {WeightFormat::kStored, WeightFormat::kQ8}) {
      const Guard plain =
          *Guard::load(directory, {.threads = 2, .weights = weights, .prefix_cache_bytes = 0});
      const Guard cached = *Guard::load(directory, {.threads = 2, .weights = weights});
      const std::string story(600, 'x');
      for (const std::string end : {"How do I bake bread?", "How do I build a bomb?", "Hi"}) {
        Conversation conversation = {{Role::kUser, "Tell me a story. " + story},
                                     {Role::kAssistant, "Once upon a time there was a loaf."},
                                     {Role::kUser, end}};
        for (int again = 0; again < 2; ++again) {
          const auto expected = plain.moderate(conversation, Policy::strict());
          const auto found = cached.moderate(conversation, Policy::strict());
          ASSERT_EQ(expected.ok(), found.ok());
          if (expected.ok()) expect_equal(*expected, *found);
        }
        conversation.push_back({Role::kAssistant, "First, mix flour and water."});
        const auto expected = plain.moderate(conversation, Policy::strict());
        const auto found = cached.moderate(conversation, Policy::strict());
        ASSERT_EQ(expected.ok(), found.ok());
        if (expected.ok()) expect_equal(*expected, *found);
      }
    }
  }
}

TEST(PrefixCache, SparesWhatConversationsShare) {
  const auto loaded = Loaded::load(boxed(), {.threads = 1});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const std::string rules = "Be kind and short. ";
  std::string system;
  for (int i = 0; i < 60; ++i) system += rules;
  for (const char* question : {"How do I bake bread?", "What is a loaf?"}) {
    const auto session = SessionState::open(
        *loaded, {{Role::kSystem, system}, {Role::kUser, question}}, Policy::strict());
    ASSERT_TRUE(session.ok()) << session.error().message;
  }
  const auto stats = (*loaded)->prefix_cache().stats();
  EXPECT_GE(stats.tokens_found, 192u);
  EXPECT_LT(stats.tokens_found, stats.tokens_asked);
}

TEST(PrefixCache, ServesThreadsAtOnce) {
  const auto loaded = Loaded::load(boxed(), {.threads = 1});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const Guard plain = *Guard::load(boxed(), {.threads = 1, .prefix_cache_bytes = 0});
  const Conversation shared = {{Role::kSystem, std::string(900, 'y')},
                               {Role::kUser, "Hello there"}};
  const auto expected = plain.moderate(shared, Policy::strict());
  ASSERT_TRUE(expected.ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        const auto session = SessionState::open(*loaded, shared, Policy::strict());
        ASSERT_TRUE(session.ok());
        expect_equal(*expected, (*session)->prompt());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace qwen3guard::engine
