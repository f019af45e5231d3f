#include "model/kv_cache.h"

#include <algorithm>

#include "base/check.h"

namespace qwen3guard::model {

KvCache::KvCache(const ModelConfig& config)
    : layers_(config.layers), kv_heads_(config.kv_heads), head_dim_(config.head_dim) {}

std::size_t KvCache::offset(std::size_t layer, std::size_t head, bool value) const {
  return ((layer * 2 + (value ? 1 : 0)) * kv_heads_ + head) * kBlockTokens * head_dim_;
}

KvCache KvCache::fork() {
  for (Slot& slot : blocks_) slot.exclusive = false;
  return KvCache(*this);
}

void KvCache::truncate(std::size_t size) {
  QG_CHECK(size <= size_);
  size_ = size;
  blocks_.resize((size + kBlockTokens - 1) / kBlockTokens);
}

void KvCache::make_exclusive(Slot& slot) const {
  if (slot.exclusive) return;
  const std::size_t count = offset(layers_, 0, false);
  std::shared_ptr<float[]> copy(new float[count]);
  std::copy_n(slot.data.get(), count, copy.get());
  slot = {std::move(copy), true};
}

void KvCache::grow(std::size_t count) {
  if (count == 0) return;
  if (size_ % kBlockTokens != 0) make_exclusive(blocks_.back());
  size_ += count;
  while (blocks_.size() * kBlockTokens < size_) {
    // Uninitialised on purpose: rows are read only after they were written.
    blocks_.push_back({std::shared_ptr<float[]>(new float[offset(layers_, 0, false)]), true});
  }
}

float* KvCache::key(std::size_t layer, std::size_t head, std::size_t position) {
  return blocks_[position / kBlockTokens].data.get() + offset(layer, head, false) +
         position % kBlockTokens * head_dim_;
}

float* KvCache::value(std::size_t layer, std::size_t head, std::size_t position) {
  return blocks_[position / kBlockTokens].data.get() + offset(layer, head, true) +
         position % kBlockTokens * head_dim_;
}

const float* KvCache::key_block(std::size_t layer, std::size_t head, std::size_t b) const {
  return blocks_[b].data.get() + offset(layer, head, false);
}

const float* KvCache::value_block(std::size_t layer, std::size_t head, std::size_t b) const {
  return blocks_[b].data.get() + offset(layer, head, true);
}

std::size_t KvCache::bytes() const {
  return blocks_.size() * offset(layers_, 0, false) * sizeof(float);
}

}  // namespace qwen3guard::model
