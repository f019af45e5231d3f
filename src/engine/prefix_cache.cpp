#include "engine/prefix_cache.h"

#include <algorithm>

#include "base/check.h"

namespace qwen3guard::engine {

PrefixCache::PrefixCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

PrefixCache::~PrefixCache() {
  while (!recent_.empty()) drop_oldest();  // leaves first: a deep chain must not recurse
}

PrefixCache::Key PrefixCache::key_of(std::span<const TokenId> ids, std::size_t block) {
  Key key;
  std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(block * kBlock), kBlock, key.begin());
  return key;
}

// From the node to the root, so that parents end up newer than their children.
void PrefixCache::touch(Node* node) {
  for (; node != &root_; node = node->parent)
    recent_.splice(recent_.begin(), recent_, node->recent);
}

void PrefixCache::drop_oldest() {
  Node* oldest = recent_.back();
  QG_CHECK(oldest->children.empty());
  recent_.pop_back();
  stats_.bytes -= oldest->block.bytes;
  --stats_.blocks;
  oldest->parent->children.erase(oldest->self);
}

std::size_t PrefixCache::fetch(std::span<const TokenId> ids, model::KvCache& cache) {
  QG_CHECK(cache.size() == 0);
  const std::lock_guard<std::mutex> lock(mutex_);
  Node* node = &root_;
  for (std::size_t b = 0; (b + 1) * kBlock < ids.size(); ++b) {
    const auto child = node->children.find(key_of(ids, b));
    if (child == node->children.end()) break;
    node = child->second.get();
    cache.append_block(node->block);
  }
  touch(node);
  stats_.tokens_asked += ids.size();
  stats_.tokens_found += cache.size();
  return cache.size();
}

void PrefixCache::offer(std::span<const TokenId> ids, model::KvCache& cache) {
  QG_CHECK(cache.size() >= ids.size());
  if (max_bytes_ == 0) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  Node* node = &root_;
  for (std::size_t b = 0; (b + 1) * kBlock <= ids.size(); ++b) {
    const Key key = key_of(ids, b);
    auto child = node->children.find(key);
    if (child == node->children.end()) {
      child = node->children.emplace(key, std::make_unique<Node>()).first;
      Node& fresh = *child->second;
      fresh.parent = node;
      fresh.self = child;
      fresh.block = cache.share_block(b);
      fresh.recent = recent_.insert(recent_.begin(), &fresh);
      stats_.bytes += fresh.block.bytes;
      ++stats_.blocks;
    }
    node = child->second.get();
  }
  touch(node);
  while (stats_.bytes > max_bytes_) drop_oldest();
}

PrefixCache::Stats PrefixCache::stats() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

}  // namespace qwen3guard::engine
