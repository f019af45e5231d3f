// A small pool for data-parallel loops. Workers spin for a bounded time, then sleep: when another
// process takes a core, nobody burns the core that is left (OpenMP's barriers do).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace qwen3guard::base {

class ThreadPool {
 public:
  /// `threads` counts the caller: 1 starts no worker. REQUIRES: threads >= 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end) for disjoint ranges that cover [0, count), at least `grain` long each,
  /// from the pool's threads and the caller's; returns when all are done. Calls from several
  /// threads take turns. `body` must not call the pool again and must not throw.
  template <typename Body>
  void parallel_for(std::size_t count, std::size_t grain, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run(
        count, grain,
        [](void* context, std::size_t begin, std::size_t end) {
          (*static_cast<Plain*>(context))(begin, end);
        },
        const_cast<std::remove_const_t<Plain>*>(&body));
  }

 private:
  using Call = void (*)(void* context, std::size_t begin, std::size_t end);
  void run(std::size_t count, std::size_t grain, Call call, void* context);
  void worker();
  /// False if the current loop takes nobody any more.
  bool enter();
  void take_ranges();

  std::mutex callers_;  // one loop at a time
  std::vector<std::thread> workers_;

  // The current loop; written by its caller before the gate opens, read by workers inside.
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::size_t count_ = 0;
  std::size_t grain_ = 1;
  std::atomic<std::size_t> next_{0};

  std::atomic<std::uint32_t> generation_{0};
  // Whether workers may still join the current loop, and how many are inside. One whose core was
  // taken before it joined is not waited for: the others do its share.
  static constexpr std::uint32_t kOpen = 1, kInside = 2;
  std::atomic<std::uint32_t> gate_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace qwen3guard::base
