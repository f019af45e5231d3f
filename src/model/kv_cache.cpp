#include "model/kv_cache.h"

#include <algorithm>
#include <new>

#include "base/check.h"

namespace qwen3guard::model {
namespace {

// Whole vectors lie in one cache line each.
std::shared_ptr<std::byte[]> allocate(std::size_t bytes) {
  constexpr auto kLine = std::align_val_t{64};
  return {static_cast<std::byte*>(::operator new(bytes, kLine)),
          [](std::byte* p) { ::operator delete(p, kLine); }};
}

}  // namespace

KvCache::KvCache(const ModelConfig& config, kernels::CacheType type)
    : layers_(config.layers), kv_heads_(config.kv_heads), head_dim_(config.head_dim), type_(type) {}

std::size_t KvCache::offset(std::size_t layer, std::size_t head, bool value) const {
  const std::size_t element = type_ == kernels::CacheType::kF32 ? 4 : 2;
  return ((layer * 2 + (value ? 1 : 0)) * kv_heads_ + head) * kBlockTokens * head_dim_ * element;
}

KvCache KvCache::fork() {
  for (Slot& slot : blocks_) slot.exclusive = false;
  return KvCache(*this);
}

KvCache::Block KvCache::share_block(std::size_t b) {
  QG_CHECK((b + 1) * kBlockTokens <= size_);
  blocks_[b].exclusive = false;
  return {blocks_[b].data, offset(layers_, 0, false)};
}

void KvCache::append_block(const Block& block) {
  QG_CHECK(size_ % kBlockTokens == 0 && block.bytes == offset(layers_, 0, false));
  blocks_.push_back({block.data, false});
  size_ += kBlockTokens;
}

void KvCache::truncate(std::size_t size) {
  QG_CHECK(size <= size_);
  size_ = size;
  blocks_.resize((size + kBlockTokens - 1) / kBlockTokens);
}

void KvCache::make_exclusive(Slot& slot) const {
  if (slot.exclusive) return;
  const std::size_t count = offset(layers_, 0, false);
  std::shared_ptr<std::byte[]> copy = allocate(count);
  std::copy_n(slot.data.get(), count, copy.get());
  slot = {std::move(copy), true};
}

void KvCache::grow(std::size_t count) {
  if (count == 0) return;
  if (size_ % kBlockTokens != 0) make_exclusive(blocks_.back());
  size_ += count;
  while (blocks_.size() * kBlockTokens < size_) {
    // Uninitialised on purpose: rows are read only after they were written.
    blocks_.push_back({allocate(offset(layers_, 0, false)), true});
  }
}

std::byte* KvCache::key_block(std::size_t layer, std::size_t head, std::size_t b) {
  return blocks_[b].data.get() + offset(layer, head, false);
}

std::byte* KvCache::value_block(std::size_t layer, std::size_t head, std::size_t b) {
  return blocks_[b].data.get() + offset(layer, head, true);
}

const std::byte* KvCache::key_block(std::size_t layer, std::size_t head, std::size_t b) const {
  return blocks_[b].data.get() + offset(layer, head, false);
}

const std::byte* KvCache::value_block(std::size_t layer, std::size_t head, std::size_t b) const {
  return blocks_[b].data.get() + offset(layer, head, true);
}

std::size_t KvCache::bytes() const { return blocks_.size() * offset(layers_, 0, false); }

}  // namespace qwen3guard::model
