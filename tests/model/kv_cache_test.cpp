#include "model/kv_cache.h"

#include <gtest/gtest.h>

namespace qwen3guard::model {
namespace {

ModelConfig small() {
  ModelConfig config;
  config.layers = 2;
  config.kv_heads = 3;
  config.head_dim = 4;
  return config;
}

// Writes the same number into every element of a position of one head; reads it back.
class Cell {
 public:
  Cell(KvCache& cache, std::size_t layer, std::size_t head, std::size_t position)
      : type_(cache.type()),
        keys_(cache.key_block(layer, head, position / KvCache::kBlockTokens)),
        values_(cache.value_block(layer, head, position / KvCache::kBlockTokens)),
        slot_(position % KvCache::kBlockTokens) {}

  void write(float key, float value) {
    const std::vector<float> keys(4, key), values(4, value);
    kernels::active_kernels().store_kv(type_, keys.data(), values.data(), 4, slot_, keys_, values_);
  }
  // Of the one key with weight 1: the sum of its four elements.
  float key() const {
    const std::vector<float> ones(4, 1.0f);
    std::vector<float> scores(KvCache::kBlockTokens);
    kernels::scalar_kernels().score_keys(type_, ones.data(), 1, 4, keys_, slot_ + 1, 1.0f,
                                         scores.data(), scores.size());
    return scores[slot_];
  }
  float value() const {
    std::vector<float> weights(KvCache::kBlockTokens), out(4);
    weights[slot_] = 1.0f;
    kernels::scalar_kernels().add_values(type_, weights.data(), weights.size(), 1, values_,
                                         slot_ + 1, 4, out.data());
    return out[2];
  }

 private:
  kernels::CacheType type_;
  std::byte* keys_;
  std::byte* values_;
  std::size_t slot_;
};

TEST(KvCache, RowsOfAllLayersAndHeadsAreDistinct) {
  for (const auto type : {kernels::CacheType::kF32, kernels::CacheType::kF16}) {
    KvCache cache(small(), type);
    ASSERT_TRUE(cache.grow(130).ok());
    const auto each = [&](const auto& body) {
      float next = 0;  // below 2048: exact in half floats
      for (std::size_t p = 0; p < 130; ++p) {
        for (std::size_t l = 0; l < 2; ++l) {
          for (std::size_t h = 0; h < 3; ++h, next += 2) body(Cell(cache, l, h, p), next);
        }
      }
    };
    each([](Cell cell, float next) { cell.write(next, next + 1); });
    each([](const Cell& cell, float next) {
      ASSERT_EQ(cell.key(), 4 * next);
      ASSERT_EQ(cell.value(), next + 1);
    });
  }
}

TEST(KvCache, ForkSharesBlocksUntilSomebodyWrites) {
  KvCache cache(small());
  ASSERT_TRUE(cache.grow(70).ok());
  Cell(cache, 0, 0, 0).write(1, 1);
  Cell(cache, 0, 0, 69).write(2, 2);
  KvCache fork = cache.fork();
  EXPECT_EQ(cache.key_block(0, 0, 0), fork.key_block(0, 0, 0));
  ASSERT_TRUE(fork.grow(1).ok());
  EXPECT_EQ(cache.key_block(0, 0, 0), fork.key_block(0, 0, 0)) << "a full block is never copied";
  EXPECT_NE(cache.key_block(0, 0, 1), fork.key_block(0, 0, 1));
  EXPECT_EQ(Cell(fork, 0, 0, 69).value(), 2);
  ASSERT_TRUE(
      cache.grow(1).ok());  // the original must not write to what the fork once shared, either
  Cell(cache, 0, 0, 70).write(3, 3);
  Cell(fork, 0, 0, 70).write(4, 4);
  EXPECT_EQ(Cell(cache, 0, 0, 70).value(), 3);
}

TEST(KvCache, TruncateFreesBlocks) {
  KvCache cache(small());
  ASSERT_TRUE(cache.grow(200).ok());
  const std::size_t full = cache.bytes();
  cache.truncate(64);
  EXPECT_EQ(cache.size(), 64u);
  EXPECT_EQ(cache.bytes(), full / 4);
  cache.truncate(0);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(KvCache, ABudgetCountsSharedBlocksOnceAndLeavesTheCacheAsItWas) {
  KvCache measure(small());
  ASSERT_TRUE(measure.grow(1).ok());
  const std::size_t block = measure.bytes();
  const auto budget = std::make_shared<KvBudget>(3 * block + block / 2);
  KvCache cache(small(), kernels::CacheType::kF32, budget);
  ASSERT_TRUE(cache.grow(100).ok());
  EXPECT_EQ(budget->used(), 2 * block);
  {
    KvCache fork = cache.fork();
    EXPECT_EQ(budget->used(), 2 * block);
    Cell(fork, 0, 0, 99).write(7, 8);
    const Status refused = fork.grow(64);  // a copy of the last block, and one more
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
    EXPECT_EQ(fork.size(), 100u);
    EXPECT_EQ(fork.key_block(0, 0, 1), cache.key_block(0, 0, 1));
    EXPECT_EQ(budget->used(), 2 * block) << "what was taken in vain is given back";
    ASSERT_TRUE(fork.grow(1).ok());
    EXPECT_EQ(Cell(fork, 0, 0, 99).value(), 8);
    EXPECT_EQ(budget->used(), 3 * block);
  }
  EXPECT_EQ(budget->used(), 2 * block);
  cache.truncate(0);
  EXPECT_EQ(budget->used(), 0u);
}

}  // namespace
}  // namespace qwen3guard::model
