// Continuous batching: whatever conversations are waiting to be read shares passes over the
// weights.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "model/model.h"
#include "qwen3guard/guard.h"
#include "qwen3guard/result.h"

namespace qwen3guard::engine {

/// Sessions call read() from their own threads and wait. One of the waiting threads runs the next
/// step for all of them: it plans (a share of the step for every waiting conversation, so that a
/// long prompt never stalls a single token), runs one pass, and commits (results, errors, what is
/// left goes to the back of the queue). There is no thread of the scheduler's own, and nothing
/// depends on who shared a step with whom: every token gets the bits that it would get alone.
///
/// With a pool of one thread each caller reads for itself, at once: then callers are the threads.
class Scheduler {
 public:
  struct Stats {
    std::uint64_t steps = 0;
    std::uint64_t tokens = 0;  // read in steps
    std::uint64_t sequences =
        0;                      // pieces of conversations in steps: tokens / sequences is the share
    std::uint64_t refused = 0;  // by the limits
    /// Most steps that passed a waiting conversation by without reading any of it: none, as long as
    /// no more wait than a step has tokens.
    std::uint64_t longest_wait = 0;
    std::size_t waiting = 0;
    std::size_t waiting_tokens = 0;
  };

  /// `model` and `pool` outlive the scheduler.
  Scheduler(const model::Model& model, base::ThreadPool& pool, const QueueLimits& limits);

  /// Reads the sequence; returns when all of it was read, or nothing (its cache is then as before).
  /// `workspace` is used where the caller reads for itself. Errors: those of Model::forward;
  /// kOverloaded when the queue is full: nothing was read, try again later.
  Status read(const model::Sequence& sequence, model::Workspace& workspace);
  /// The same for several sequences of one caller, which share steps; returns when all are done.
  std::vector<Status> read(std::span<const model::Sequence> batch, model::Workspace& workspace);

  Stats stats() const;

 private:
  struct Request {
    model::Sequence rest;
    std::size_t start = 0;     // tokens in the cache before
    std::size_t unread = 0;    // leading tokens of `rest` whose states nobody reads
    std::uint64_t served = 0;  // the first step that could still read it
    bool done = false;
    Status status;
  };
  struct Piece {
    Request* request;
    std::size_t tokens;
  };

  Status admit(std::size_t tokens);
  Request request(const model::Sequence& sequence) const;
  std::vector<Piece> plan();
  void commit(const std::vector<Piece>& pieces, std::vector<Status> results);
  void step(std::unique_lock<std::mutex>& lock);

  const model::Model& model_;
  base::ThreadPool& pool_;
  const QueueLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Request*> queue_;   // longest waiting first
  bool running_ = false;        // some caller runs a step
  model::Workspace workspace_;  // of the step
  Stats stats_;
};

}  // namespace qwen3guard::engine
