// Keys and values of the tokens that a session has read, in blocks that forks share.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/kernels.h"
#include "model/config.h"
#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// How many bytes of blocks the caches that share it may hold together; a block that several caches
/// refer to counts once. Thread-safe.
class KvBudget {
 public:
  /// `limit` in bytes; 0: none.
  explicit KvBudget(std::size_t limit) : limit_(limit) {}

  std::size_t limit() const { return limit_; }
  std::size_t used() const { return used_.load(std::memory_order_relaxed); }
  /// False, with nothing taken, when that would pass the limit.
  bool take(std::size_t bytes);
  void give_back(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

/// Append, truncate, fork. Blocks of kBlockTokens tokens hold all layers; a fork shares its blocks
/// and copies one only before writing to it. One owner thread at a time; forks may live on other
/// threads.
class KvCache {
 public:
  static constexpr std::size_t kBlockTokens = kernels::kKvBlock;

  /// Without a budget blocks are not counted.
  explicit KvCache(const ModelConfig& config, kernels::CacheType type = kernels::CacheType::kF32,
                   std::shared_ptr<KvBudget> budget = nullptr);
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  /// Tokens held.
  std::size_t size() const { return size_; }
  kernels::CacheType type() const { return type_; }

  /// kBlockTokens positions of all layers, shared and no longer written to.
  struct Block {
    std::shared_ptr<std::byte[]> data;
    std::size_t bytes = 0;
  };
  /// Lends block `b`, all of whose tokens are held. REQUIRES: (b + 1) * kBlockTokens <= size().
  Block share_block(std::size_t b);
  /// Appends the tokens of a block that a cache of the same model and type lent. REQUIRES: size()
  /// is a multiple of kBlockTokens.
  void append_block(const Block& block);

  /// A cache with the same content; costs no copy of keys or values.
  KvCache fork();
  /// Forgets all tokens from `size` on. REQUIRES: size <= this->size().
  void truncate(std::size_t size);
  /// Makes room for `count` more tokens and counts them as held; the caller then writes them
  /// with Kernels::store_kv for every layer and head. Errors: kOverloaded when the budget is used
  /// up; the cache is as before then.
  Status grow(std::size_t count);

  /// Block `b` of one head, in the layout of kernels::kKvBlock.
  std::byte* key_block(std::size_t layer, std::size_t head, std::size_t b);
  std::byte* value_block(std::size_t layer, std::size_t head, std::size_t b);
  const std::byte* key_block(std::size_t layer, std::size_t head, std::size_t b) const;
  const std::byte* value_block(std::size_t layer, std::size_t head, std::size_t b) const;

  /// Bytes of keys and values that this cache refers to (shared blocks counted in full).
  std::size_t bytes() const;

 private:
  struct Slot {
    std::shared_ptr<std::byte[]> data;
    bool exclusive;  // false once forked: clone before writing
  };
  KvCache(const KvCache&) = default;
  /// Null when the budget is used up.
  std::shared_ptr<std::byte[]> allocate_block() const;
  std::size_t offset(std::size_t layer, std::size_t head, bool value) const;

  std::size_t layers_;
  std::size_t kv_heads_;
  std::size_t head_dim_;
  kernels::CacheType type_;
  std::shared_ptr<KvBudget> budget_;
  std::size_t size_ = 0;
  std::vector<Slot> blocks_;
};

}  // namespace qwen3guard::model
