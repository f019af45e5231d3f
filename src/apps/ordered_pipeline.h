// Several workers, one ordered stream of results, bounded memory.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::apps {

/// Tasks go in from one thread; `work` runs on the workers, several at a time; `sink` gets the
/// outcomes in the order of the tasks, on a thread of its own, one at a time. `idle` tells the sink
/// that no further outcome is ready: the moment to flush. When the sink fails, what is queued is
/// dropped.
template <typename Task, typename Outcome>
class OrderedPipeline {
 public:
  using Work = std::function<Outcome(Task)>;
  using Sink = std::function<Status(Outcome, bool idle)>;
  struct Limits {
    std::size_t tasks = 64;          // in flight
    std::size_t bytes = 128u << 20;  // in flight, as counted by submit(); one task may exceed it
  };

  /// REQUIRES: workers >= 1.
  OrderedPipeline(int workers, Limits limits, Work work, Sink sink)
      : limits_(limits), work_(std::move(work)), sink_(std::move(sink)) {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { run_worker(); });
    threads_.emplace_back([this] { run_sink(); });
  }
  OrderedPipeline(const OrderedPipeline&) = delete;
  OrderedPipeline& operator=(const OrderedPipeline&) = delete;
  ~OrderedPipeline() { (void)finish(); }

  /// Waits for room. False: the sink has failed, finish() says how.
  bool submit(Task task, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] {
      return failed_ || slots_.empty() ||
             (slots_.size() < limits_.tasks && bytes_ + bytes <= limits_.bytes);
    });
    if (failed_) return false;
    bytes_ += bytes;
    slots_.push_back({std::move(task), bytes, std::nullopt});
    work_ready_.notify_one();
    return true;
  }

  /// Waits until everything has gone through the sink; its first error, if any. No submit() after
  /// it.
  Status finish() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    work_ready_.notify_all();
    front_ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return result_;
  }

 private:
  struct Slot {
    Task task;
    std::size_t bytes;
    std::optional<Outcome> outcome;
  };

  void run_worker() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_ready_.wait(lock, [&] { return failed_ || closed_ || taken_ < slots_.size(); });
      if (failed_ || taken_ == slots_.size()) return;
      // A deque keeps references to its elements when others come and go at its ends, and a slot
      // stays until it has its outcome.
      Slot& slot = slots_[taken_++];
      Task task = std::move(slot.task);
      lock.unlock();
      Outcome outcome = work_(std::move(task));
      lock.lock();
      slot.outcome.emplace(std::move(outcome));
      front_ready_.notify_one();
    }
  }

  void run_sink() {
    std::unique_lock lock(mutex_);
    while (true) {
      front_ready_.wait(
          lock, [&] { return slots_.empty() ? closed_ : slots_.front().outcome.has_value(); });
      if (slots_.empty()) return;
      Slot slot = std::move(slots_.front());
      slots_.pop_front();
      --taken_;
      bytes_ -= slot.bytes;
      const bool idle = slots_.empty() || !slots_.front().outcome;
      lock.unlock();
      room_.notify_one();
      Status status = sink_(std::move(*slot.outcome), idle);
      lock.lock();
      if (!status.ok()) {
        result_ = std::move(status);
        failed_ = true;
        work_ready_.notify_all();
        room_.notify_one();
        return;
      }
    }
  }

  const Limits limits_;
  const Work work_;
  const Sink sink_;
  std::mutex mutex_;
  std::condition_variable room_, work_ready_, front_ready_;
  std::deque<Slot> slots_;  // in order; the first taken_ are being worked on or done
  std::size_t taken_ = 0;
  std::size_t bytes_ = 0;
  bool closed_ = false;
  bool failed_ = false;
  Status result_;
  std::vector<std::thread> threads_;
};

}  // namespace qwen3guard::apps
