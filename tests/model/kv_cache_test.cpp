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

TEST(KvCache, RowsOfAllLayersAndHeadsAreDistinct) {
  KvCache cache(small());
  cache.grow(130);
  float next = 0;
  for (std::size_t p = 0; p < 130; ++p) {
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t h = 0; h < 3; ++h) {
        for (std::size_t i = 0; i < 4; ++i) {
          cache.key(l, h, p)[i] = next++;
          cache.value(l, h, p)[i] = next++;
        }
      }
    }
  }
  next = 0;
  for (std::size_t p = 0; p < 130; ++p) {
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t h = 0; h < 3; ++h) {
        for (std::size_t i = 0; i < 4; ++i) {
          const std::size_t block = p / KvCache::kBlockTokens;
          const std::size_t row = p % KvCache::kBlockTokens * 4;
          ASSERT_EQ(cache.key_block(l, h, block)[row + i], next++);
          ASSERT_EQ(cache.value_block(l, h, block)[row + i], next++);
        }
      }
    }
  }
}

TEST(KvCache, ForkSharesBlocksUntilSomebodyWrites) {
  KvCache cache(small());
  cache.grow(70);
  cache.key(0, 0, 0)[0] = 1;
  cache.key(0, 0, 69)[0] = 2;
  KvCache fork = cache.fork();
  EXPECT_EQ(cache.key_block(0, 0, 0), fork.key_block(0, 0, 0));
  fork.grow(1);
  EXPECT_EQ(cache.key_block(0, 0, 0), fork.key_block(0, 0, 0)) << "a full block is never copied";
  EXPECT_NE(cache.key_block(0, 0, 1), fork.key_block(0, 0, 1));
  EXPECT_EQ(fork.key(0, 0, 69)[0], 2);
  cache.grow(1);  // the original must not write to what the fork once shared, either
  cache.key(0, 0, 70)[0] = 3;
  fork.key(0, 0, 70)[0] = 4;
  EXPECT_EQ(cache.key(0, 0, 70)[0], 3);
}

TEST(KvCache, TruncateFreesBlocks) {
  KvCache cache(small());
  cache.grow(200);
  const std::size_t full = cache.bytes();
  cache.truncate(64);
  EXPECT_EQ(cache.size(), 64u);
  EXPECT_EQ(cache.bytes(), full / 4);
  cache.truncate(0);
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace qwen3guard::model
