#include "running_gateway.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>
#include <utility>

#include "guard_fixture.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {

RunningGateway::RunningGateway(const std::string& upstream, GatewayOptions options, Policy policy) {
  options.server.listen = "127.0.0.1:0";
  auto url = parse_url(upstream);
  EXPECT_TRUE(url.ok());
  options.upstream = *url;
  auto server = start_gateway(boxed_guard(), std::move(policy), std::move(options));
  EXPECT_TRUE(server.ok()) << server.error().message;
  server_ = std::move(server).value();
  ran_ = std::async(std::launch::async, [this] { server_->run(); });
}

RunningGateway::~RunningGateway() {
  server_->drain();
  ran_.wait();
}

bool RunningGateway::stops(std::chrono::seconds patience) {
  return ran_.wait_for(patience) == std::future_status::ready;
}

double RunningGateway::metric(const std::string& name) const {
  server::test::Client client(port());
  const std::string page = client.ask("GET", "/metrics").body;
  const std::size_t at = page.find("\n" + name);
  return at == std::string::npos ? 0 : std::atof(page.c_str() + at + 1 + name.size());
}

int RunningGateway::outcomes(const std::string& outcome) const {
  const std::string name = "qwen3guard_gateway_outcomes_total{outcome=\"" + outcome + "\"} ";
  for (int i = 0; i < 400; ++i) {
    if (const double count = metric(name); count > 0) return static_cast<int>(count);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return 0;
}

}  // namespace qwen3guard::gateway::test
