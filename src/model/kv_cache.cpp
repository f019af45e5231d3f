#include "model/kv_cache.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <string>
#include <utility>

#include "base/check.h"

namespace qwen3guard::model {

bool KvBudget::take(std::size_t bytes) {
  std::size_t used = used_.load(std::memory_order_relaxed);
  do {
    if (limit_ != 0 && (used > limit_ || bytes > limit_ - used)) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

KvCache::KvCache(const ModelConfig& config, kernels::CacheType type,
                 std::shared_ptr<KvBudget> budget)
    : layers_(config.layers),
      kv_heads_(config.kv_heads),
      head_dim_(config.head_dim),
      type_(type),
      budget_(std::move(budget)) {}

std::shared_ptr<std::byte[]> KvCache::allocate_block() const {
  constexpr auto kLine = std::align_val_t{64};  // whole vectors lie in one cache line each
  const std::size_t bytes = offset(layers_, 0, false);
  if (budget_ != nullptr && !budget_->take(bytes)) return nullptr;
  return {static_cast<std::byte*>(::operator new(bytes, kLine)),
          [bytes, budget = budget_](std::byte* p) {
            ::operator delete(p, kLine);
            if (budget != nullptr) budget->give_back(bytes);
          }};
}

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

Status KvCache::grow(std::size_t count) {
  if (count == 0) return {};
  const std::size_t held = blocks_.size();
  const std::size_t wanted = (size_ + count + kBlockTokens - 1) / kBlockTokens;
  // A block that is shared is written to as a copy of its own.
  const bool copies = size_ % kBlockTokens != 0 && !blocks_.back().exclusive;
  std::vector<Slot> fresh;
  for (std::size_t b = 0; b < wanted - held + (copies ? 1 : 0); ++b) {
    // Uninitialised on purpose: rows are read only after they were written.
    fresh.push_back({allocate_block(), true});
    if (fresh.back().data != nullptr) continue;
    return Error{ErrorCode::kOverloaded,
                 "no memory is left for conversations: " + std::to_string(budget_->used()) +
                     " of " + std::to_string(budget_->limit()) +
                     " bytes of keys and values are in use; close some, or raise the limit"};
  }
  if (copies) {
    std::copy_n(blocks_.back().data.get(), offset(layers_, 0, false), fresh.back().data.get());
    blocks_.back() = std::move(fresh.back());
    fresh.pop_back();
  }
  std::move(fresh.begin(), fresh.end(), std::back_inserter(blocks_));
  size_ += count;
  return {};
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
