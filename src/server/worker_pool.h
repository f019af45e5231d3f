// Threads for inference, so that input and output never wait for it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace qwen3guard::server {

class WorkerPool {
 public:
  using Job = std::function<void()>;

  /// `queue` jobs may wait besides those that run. REQUIRES: threads >= 1.
  WorkerPool(std::size_t threads, std::size_t queue);
  /// Jobs that run are finished, jobs that wait are dropped.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False if the queue is full: the job was not taken. Jobs must not throw.
  bool submit(Job job);
  std::size_t waiting() const;

 private:
  void work();

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;
  std::size_t idle_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace qwen3guard::server
