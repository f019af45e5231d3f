// What one client may ask, and what others notice of it.
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "client.h"
#include "running_server.h"
#include "web_socket_client.h"

namespace qwen3guard::server::test {
namespace {

using nlohmann::json;

const Headers kAlice = {{"X-Api-Key", "0123456789abcdef"}};
const Headers kBob = {{"X-Api-Key", "fedcba9876543210"}};
const json kSpoon = {{"input", "How do I whittle a spoon?"}};
const json kBeginning = {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}};

ServerOptions with_two_keys() {
  ServerOptions options;
  options.keys = *ApiKeys::parse("alice 0123456789abcdef\nbob fedcba9876543210");
  return options;
}

TEST(Rates, RequestsOfAKeyAreLimitedAndComeBack) {
  std::atomic<int> seconds = 0;
  ServerOptions options = with_two_keys();
  options.requests_per_minute = 3;
  options.service.clock = [&] {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(seconds));
  };
  RunningServer server(options);
  Client client(server.port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.post("/v1/moderations", kSpoon, kAlice).status, 200);
  }
  const Answer refused = client.post("/v1/classify", kSpoon, kAlice);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "rate_limit_exceeded");
  EXPECT_EQ(refused.json()["error"]["type"], "requests");
  EXPECT_EQ(refused.headers.at("retry-after"), "20");
  // Neither others nor what needs no model.
  EXPECT_EQ(client.post("/v1/moderations", kSpoon, kBob).status, 200);
  EXPECT_EQ(client.ask("GET", "/ready").status, 200);
  EXPECT_EQ(client.ask("GET", "/v1/models", "", kAlice).status, 200);
  const std::string metrics = client.ask("GET", "/metrics", "", kAlice).body;
  for (const char* line :
       {"\nqwen3guard_rate_limited_total{limit=\"requests\"} 1\n",
        "\nqwen3guard_errors_total{code=\"rate_limit_exceeded\"} 1\n",
        "\nqwen3guard_requests_total{route=\"/v1/classify\",status=\"429\"} 1\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
  }
  seconds = 20;
  EXPECT_EQ(client.post("/v1/moderations", kSpoon, kAlice).status, 200);
  EXPECT_EQ(client.post("/v1/moderations", kSpoon, kAlice).status, 429);
}

TEST(Rates, MessagesOfAWebSocketAreRequests) {
  ServerOptions options = with_two_keys();
  options.requests_per_minute = 2;
  RunningServer server(options);
  WebSocketClient socket(server.port(), kAlice);
  EXPECT_EQ(socket.ask(kBeginning).json()["object"], "stream");
  EXPECT_EQ(socket.ask({{"text", "Hello"}}).json()["object"], "stream.tokens");
  EXPECT_EQ(socket.ask({{"text", " there"}}).code(), "rate_limit_exceeded");
  Client client(server.port());
  EXPECT_EQ(client.post("/v1/moderations", kSpoon, kAlice).status, 429);
  EXPECT_EQ(client.post("/v1/moderations", kSpoon, kBob).status, 200);
}

TEST(Rates, StreamsOfAKeyAreLimited) {
  ServerOptions options = with_two_keys();
  options.service.streams.streams_of_client = 2;
  RunningServer server(options);
  Client client(server.port());
  const std::string id = client.post("/v1/streams", kBeginning, kAlice).json()["id"];
  {
    WebSocketClient socket(server.port(), kAlice);
    EXPECT_EQ(socket.ask(kBeginning).json()["object"], "stream");
    const Answer refused = client.post("/v1/streams", kBeginning, kAlice);
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.code(), "rate_limit_exceeded");
    EXPECT_EQ(refused.headers.count("retry-after"), 1u);
    EXPECT_EQ(client.post("/v1/streams", kBeginning, kBob).status, 201);
    EXPECT_EQ(client.ask("DELETE", "/v1/streams/" + id, "", kAlice).status, 200);
    EXPECT_EQ(client.post("/v1/streams", kBeginning, kAlice).status, 201);
    EXPECT_EQ(client.post("/v1/streams", kBeginning, kAlice).status, 429);
  }
  const std::string metrics = client.ask("GET", "/metrics", "", kAlice).body;
  EXPECT_NE(metrics.find("\nqwen3guard_rate_limited_total{limit=\"streams\"} 2\n"),
            std::string::npos);
}

}  // namespace
}  // namespace qwen3guard::server::test
