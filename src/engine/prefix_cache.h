// Keys and values of prompt beginnings that many conversations share: a system message, the
// constant head of the Gen template, earlier turns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "model/kv_cache.h"

namespace qwen3guard::engine {

/// A tree of whole KV blocks, each known by the tokens that it and its ancestors hold; compared
/// token by token, so that no input can be given another's state. What is least recently used is
/// dropped when the blocks outgrow `max_bytes`; caches that took a block keep it. Thread-safe. A
/// reader that takes blocks from here gives the same bits as one that reads the tokens itself.
class PrefixCache {
 public:
  using TokenId = std::int32_t;
  struct Stats {
    std::size_t bytes = 0;
    std::size_t blocks = 0;
    std::uint64_t tokens_found = 0;  // that fetch() spared
    std::uint64_t tokens_asked = 0;
  };

  /// 0 bytes: holds nothing.
  explicit PrefixCache(std::size_t max_bytes);
  ~PrefixCache();

  /// Appends to the empty `cache` the longest known beginning of `ids`, whole blocks, at most
  /// ids.size() - 1 tokens; returns how many.
  std::size_t fetch(std::span<const TokenId> ids, model::KvCache& cache);
  /// Shares the whole blocks of `cache`, which has read `ids`. REQUIRES: cache.size() >=
  /// ids.size().
  void offer(std::span<const TokenId> ids, model::KvCache& cache);

  Stats stats() const;

 private:
  static constexpr std::size_t kBlock = model::KvCache::kBlockTokens;
  using Key = std::array<TokenId, kBlock>;
  struct Node;
  using Children = std::map<Key, std::unique_ptr<Node>>;
  struct Node {
    Node* parent = nullptr;
    Children::iterator self;
    Children children;
    model::KvCache::Block block;
    std::list<Node*>::iterator recent;
  };

  static Key key_of(std::span<const TokenId> ids, std::size_t block);
  void touch(Node* node);
  void drop_oldest();

  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  Node root_;
  std::list<Node*> recent_;  // newest first; a parent is never older than its children
  Stats stats_;
};

}  // namespace qwen3guard::engine
