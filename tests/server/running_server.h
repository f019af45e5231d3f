// A server on a free port of this machine, in this process.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "qwen3guard/guard.h"
#include "server/server.h"

namespace qwen3guard::server::test {

/// The model in the box, loaded once for all tests.
const Guard& boxed_guard();
/// A toy Gen model, loaded once.
const Guard& toy_gen_guard();

class RunningServer {
 public:
  explicit RunningServer(ServerOptions options = {}, const Guard& guard = boxed_guard(),
                         Policy policy = Policy::strict());
  ~RunningServer();

  std::uint16_t port() const { return server_->port(); }
  void drain() { server_->drain(); }
  void reload() { server_->reload(); }
  /// Whether run() returns within `patience`.
  bool stops(std::chrono::seconds patience = std::chrono::seconds(20));

 private:
  std::unique_ptr<Server> server_;
  std::future<void> ran_;
};

/// A clock that, once closed, stops the next one who asks it for the time: a worker in GET /ready.
class Gate {
 public:
  Clock clock();
  void close();
  void wait_for_visitor();
  void open();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  bool visited_ = false;
};

}  // namespace qwen3guard::server::test
