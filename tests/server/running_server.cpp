#include "running_server.h"

#include <gtest/gtest.h>

namespace qwen3guard::server::test {
namespace {

Guard load(const char* path) {
  auto guard = Guard::load(std::filesystem::path(QG_SOURCE_DIR) / path, {.threads = 2});
  if (!guard.ok()) {
    ADD_FAILURE() << guard.error().message;
    std::abort();
  }
  return std::move(guard).value();
}

}  // namespace

const Guard& boxed_guard() {
  static const Guard guard = load("models/qwen3guard-stream-mini");
  return guard;
}

const Guard& toy_gen_guard() {
  static const Guard guard = load("tests/golden/models/toy-gen");
  return guard;
}

RunningServer::RunningServer(ServerOptions options, const Guard& guard, Policy policy) {
  options.listen = "127.0.0.1:0";
  auto server = Server::start(guard, std::move(policy), std::move(options));
  EXPECT_TRUE(server.ok()) << server.error().message;
  server_ = std::move(server).value();
  ran_ = std::async(std::launch::async, [this] { server_->run(); });
}

RunningServer::~RunningServer() {
  server_->drain();
  ran_.wait();
}

bool RunningServer::stops(std::chrono::seconds patience) {
  return ran_.wait_for(patience) == std::future_status::ready;
}

Clock Gate::clock() {
  return [this] {
    std::unique_lock lock(mutex_);
    if (closed_ && !visited_) {
      visited_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !closed_; });
    }
    return std::chrono::steady_clock::now();
  };
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  visited_ = false;
}

void Gate::wait_for_visitor() {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [this] { return visited_; }));
}

void Gate::open() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

}  // namespace qwen3guard::server::test
