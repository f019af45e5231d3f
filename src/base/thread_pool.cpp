#include "base/thread_pool.h"

#include <algorithm>

#include "base/check.h"

namespace qwen3guard::base {
namespace {

// About 20 microseconds: longer than the gap between two loops of one forward pass, far shorter
// than a scheduler tick.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns when `value` is no longer `old`: spins a little, then sleeps in the kernel.
void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  QG_CHECK(threads >= 1);
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { worker(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& thread : workers_) thread.join();
}

void ThreadPool::take_ranges() {
  // Half of an equal share of what is left, at least a grain: long ranges first, since memory is
  // read twice as fast in long stretches as in turns of 64 kB, short ones last, since somebody may
  // have lost its core meanwhile.
  const std::size_t shares = 2 * static_cast<std::size_t>(threads());
  std::size_t begin = next_.load(std::memory_order_relaxed);
  while (begin < count_) {
    const std::size_t size = std::max(grain_, (count_ - begin) / shares);
    if (!next_.compare_exchange_weak(begin, begin + size, std::memory_order_relaxed)) continue;
    call_(context_, begin, std::min(begin + size, count_));
    begin = next_.load(std::memory_order_relaxed);
  }
}

void ThreadPool::worker() {
  std::uint32_t seen = 0;
  for (;;) {
    wait_while(generation_, seen);
    seen = generation_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    if (!enter()) continue;
    take_ranges();
    if (gate_.fetch_sub(kInside, std::memory_order_acq_rel) == kInside) gate_.notify_one();
  }
}

bool ThreadPool::enter() {
  std::uint32_t gate = gate_.load(std::memory_order_relaxed);
  while ((gate & kOpen) != 0) {
    if (gate_.compare_exchange_weak(gate, gate + kInside, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void ThreadPool::run(std::size_t count, std::size_t grain, Call call, void* context) {
  if (count == 0) return;
  if (workers_.empty() || count <= grain) {
    call(context, 0, count);
    return;
  }
  std::lock_guard<std::mutex> turn(callers_);
  call_ = call;
  context_ = context;
  count_ = count;
  grain_ = std::max<std::size_t>(grain, 1);
  next_.store(0, std::memory_order_relaxed);
  gate_.store(kOpen, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  take_ranges();
  // All ranges are taken: only those who took some are waited for, not those who never came.
  gate_.fetch_sub(kOpen, std::memory_order_acq_rel);
  for (std::uint32_t inside = gate_.load(std::memory_order_acquire); inside != 0;
       inside = gate_.load(std::memory_order_acquire)) {
    wait_while(gate_, inside);
  }
}

}  // namespace qwen3guard::base
