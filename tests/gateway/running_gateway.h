// A gateway on a free port of this machine, in this process.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "gateway/gateway.h"
#include "guard_fixture.h"

namespace qwen3guard::gateway::test {

class RunningGateway {
 public:
  explicit RunningGateway(const std::string& upstream, GatewayOptions options = {},
                          Policy policy = test::policy());
  explicit RunningGateway(std::uint16_t upstream, GatewayOptions options = {},
                          Policy policy = test::policy())
      : RunningGateway("http://127.0.0.1:" + std::to_string(upstream), std::move(options),
                       std::move(policy)) {}
  ~RunningGateway();

  std::uint16_t port() const { return server_->port(); }
  void drain() { server_->drain(); }
  void reload() { server_->reload(); }
  bool stops(std::chrono::seconds patience = std::chrono::seconds(20));
  /// What GET /metrics says after `name`, its labels included; 0 where that is missing.
  double metric(const std::string& name) const;
  /// Waits until some guarded request ended like this; gives up after 20 seconds.
  int outcomes(const std::string& outcome) const;

 private:
  std::unique_ptr<server::Server> server_;
  std::future<void> ran_;
};

}  // namespace qwen3guard::gateway::test
