// The HTTP layer over real sockets: whatever arrives is answered as documented, and the server goes
// on.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client.h"
#include "running_server.h"

namespace qwen3guard::server::test {
namespace {

using nlohmann::json;

const json kHarmless = {{"input", "How do I whittle a spoon?"}};

TEST(Http, KeepsAConnectionForManyRequests) {
  RunningServer server;
  Client client(server.port());
  for (int i = 0; i < 3; ++i) {
    const Answer answer = client.post("/v1/moderations", kHarmless);
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  EXPECT_EQ(client.ask("GET", "/health", "", {{"Connection", "close"}}).status, 200);
  EXPECT_TRUE(client.ended());
}

TEST(Http, AnswersPipelinedRequestsInOrder) {
  RunningServer server;
  Client client(server.port());
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    const Headers id = {{"X-Request-Id", "number-" + std::to_string(i)}};
    // Fast and slow ones mixed.
    bytes += i % 2 == 0 ? request_bytes("GET", "/health", "", id)
                        : request_bytes("POST", "/v1/moderations", kHarmless.dump(), id);
  }
  client.send(bytes);
  for (int i = 0; i < 20; ++i) {
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("x-request-id"), "number-" + std::to_string(i));
  }
}

TEST(Http, TakesARequestInPiecesOfOneByte) {
  RunningServer server;
  Client client(server.port());
  for (const char byte : request_bytes("POST", "/v1/moderations", kHarmless.dump())) {
    client.send(std::string_view(&byte, 1));
  }
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Http, TakesChunkedBodies) {
  RunningServer server;
  Client client(server.port());
  client.send(
      "POST /v1/moderations HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
      "9\r\n{\"input\":\r\n6\r\n\"spoon\r\n2\r\n\"}\r\n0\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Http, TellsAClientThatAsksToGoOn) {
  RunningServer server;
  Client client(server.port());
  const std::string body = kHarmless.dump();
  client.send(
      "POST /v1/moderations HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  client.send(body);
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Http, UnknownPathsAndMethods) {
  RunningServer server;
  Client client(server.port());
  EXPECT_EQ(client.ask("GET", "/nothing").code(), "no_route");
  EXPECT_EQ(client.ask("GET", "/v1/streams/a/b/append").status, 404);
  EXPECT_EQ(client.ask("POST", "/v1/streams//append").status, 404);
  const Answer wrong = client.ask("GET", "/v1/moderations");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "POST");
  EXPECT_EQ(wrong.code(), "method_not_allowed");
  EXPECT_EQ(client.ask("GET", "/health?verbose=1").status, 200);
}

TEST(Http, RequestIdsGoInAndOut) {
  RunningServer server;
  Client client(server.port());
  EXPECT_EQ(client.ask("GET", "/health", "", {{"X-Request-ID", "a-1_b.2"}}).headers["x-request-id"],
            "a-1_b.2");
  for (const char* bad : {"two words", "quote\"", "\xc3\xa9"}) {
    const Answer answer = client.ask("GET", "/health", "", {{"X-Request-Id", bad}});
    EXPECT_EQ(answer.headers.at("x-request-id").rfind("req-", 0), 0u) << bad;
  }
}

struct Malformed {
  const char* bytes;
  int status;
};

TEST(Http, GarbageIsRefusedAndTheServerGoesOn) {
  RunningServer server;
  const std::vector<Malformed> all = {
      {"\r\n\r\n\r\n", 400},
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/3.7\r\n\r\n", 400},
      {"GET /health HTTP/1.1\r\nno colon here\r\n\r\n", 400},
      {"GET /health HTTP/1.1\r\nHo st: x\r\n\r\n", 400},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS hello\r\n\r\n", 400},
      {"POST /v1/moderations HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400},
      {"POST /v1/moderations HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{\"a\":1}",
       400},
      {"POST /v1/moderations HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"POST /v1/moderations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /v1/moderations HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
  };
  for (const Malformed& malformed : all) {
    Client client(server.port());
    client.send(malformed.bytes);
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, malformed.status) << malformed.bytes;
    EXPECT_EQ(answer.code(), "bad_http");
    EXPECT_TRUE(client.ended()) << malformed.bytes;
  }
  {
    Client gone(server.port());
    gone.send("POST /v1/moderations HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"inp");
  }
  Client client(server.port());
  EXPECT_EQ(client.post("/v1/moderations", kHarmless).status, 200);
}

TEST(Http, LimitsHeadersAndBodies) {
  ServerOptions options;
  options.http.header_bytes = 2048;
  options.http.body_bytes = 10'000;
  RunningServer server(options);
  {
    Client client(server.port());
    client.send(request_bytes("GET", "/health", "", {{"X-Long", std::string(500'000, 'x')}}));
    EXPECT_EQ(client.receive().status, 431);
  }
  {
    Client client(server.port());
    client.send(request_bytes("POST", "/v1/moderations", std::string(300'000, ' ')));
    const Answer answer = client.receive();
    EXPECT_EQ(answer.status, 413);
    EXPECT_EQ(answer.code(), "too_long");
  }
  {
    Client client(server.port());
    std::string chunks;
    for (int i = 0; i < 100; ++i) chunks += "100\r\n" + std::string(256, ' ') + "\r\n";
    client.send("POST /v1/moderations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
    EXPECT_EQ(client.receive().status, 413);
  }
  Client client(server.port());
  EXPECT_EQ(client.post("/v1/moderations", kHarmless).status, 200);
}

TEST(Http, SlowClientsAreLeft) {
  ServerOptions options;
  options.http.idle = std::chrono::milliseconds(200);
  options.http.read = std::chrono::milliseconds(200);
  RunningServer server(options);
  Client silent(server.port());
  Client slow(server.port());
  slow.send("POST /v1/moderations HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(slow.ended());
}

TEST(Http, CapsConnections) {
  ServerOptions options;
  options.http.connections = 2;
  RunningServer server(options);
  Client first(server.port()), second(server.port());
  EXPECT_EQ(first.ask("GET", "/health").status, 200);
  EXPECT_EQ(second.ask("GET", "/health").status, 200);
  Client third(server.port());
  const Answer answer = third.receive();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.count("retry-after"), 1u);
  EXPECT_EQ(first.ask("GET", "/health").status, 200);
}

TEST(Http, OverloadIsAnsweredAtOnce) {
  Gate gate;
  ServerOptions options;
  options.workers = 1;
  options.queue = 1;
  options.service.clock = gate.clock();
  RunningServer server(options);
  Client busy(server.port()), waiting(server.port()), refused(server.port());
  gate.close();
  busy.send(request_bytes("GET", "/ready"));
  gate.wait_for_visitor();
  waiting.send(request_bytes("POST", "/v1/moderations", kHarmless.dump()));
  while (refused.ask("GET", "/metrics").body.find("qwen3guard_queued_requests 1\n") ==
         std::string::npos) {
  }
  const Answer answer = refused.post("/v1/moderations", kHarmless);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "overloaded");
  EXPECT_EQ(answer.headers.at("retry-after"), "1");
  EXPECT_EQ(refused.ask("GET", "/health").status, 200);
  gate.open();
  EXPECT_EQ(busy.receive().status, 200);
  EXPECT_EQ(waiting.receive().status, 200);
}

TEST(Http, DrainFinishesWhatIsUnderWay) {
  Gate gate;
  ServerOptions options;
  options.service.clock = gate.clock();
  RunningServer server(options);
  Client idle(server.port()), busy(server.port());
  EXPECT_EQ(idle.ask("GET", "/health").status, 200);
  gate.close();
  busy.send(request_bytes("GET", "/ready"));
  gate.wait_for_visitor();
  server.drain();
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(server.stops(std::chrono::seconds(0)));
  gate.open();
  const Answer answer = busy.receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(server.stops());
}

TEST(Http, DrainEndsEvenWhenSomethingHangs) {
  Gate gate;
  ServerOptions options;
  options.service.clock = gate.clock();
  options.http.drain = std::chrono::milliseconds(100);
  RunningServer server(options);
  Client busy(server.port());
  gate.close();
  busy.send(request_bytes("GET", "/ready"));
  gate.wait_for_visitor();
  server.drain();
  EXPECT_TRUE(server.stops());
  gate.open();
}

TEST(Http, KeysAreAskedForWhereTheyAreSet) {
  ServerOptions options;
  auto keys = ApiKeys::parse("# comment\nalice 0123456789abcdef\nfedcba9876543210\n");
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  options.keys = *keys;
  RunningServer server(options);
  Client client(server.port());
  EXPECT_EQ(client.ask("GET", "/health").status, 200);
  EXPECT_EQ(client.ask("GET", "/ready").status, 200);
  for (const char* path : {"/metrics", "/v1/models", "/nothing"}) {
    const Answer answer = client.ask("GET", path);
    EXPECT_EQ(answer.status, 401) << path;
    EXPECT_EQ(answer.code(), "unauthorized");
  }
  const std::vector<Headers> good = {{{"Authorization", "Bearer 0123456789abcdef"}},
                                     {{"authorization", "bearer fedcba9876543210"}},
                                     {{"X-Api-Key", "0123456789abcdef"}}};
  for (const Headers& headers : good) {
    EXPECT_EQ(client.post("/v1/moderations", kHarmless, headers).status, 200);
  }
  const std::vector<Headers> bad = {{{"Authorization", "Bearer 0123456789abcdeF"}},
                                    {{"Authorization", "Bearer 0123456789abcdef0"}},
                                    {{"Authorization", "Bearer 0123456789abcde"}},
                                    {{"Authorization", "Bearer "}},
                                    {{"Authorization", "Basic 0123456789abcdef"}}};
  for (const Headers& headers : bad) {
    EXPECT_EQ(client.post("/v1/moderations", kHarmless, headers).status, 401);
  }
}

TEST(Http, LogsAreJsonWithoutContent) {
  std::mutex mutex;
  std::string logged;
  const auto sink = [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    logged += line;
  };
  for (const bool content : {false, true}) {
    logged.clear();
    ServerOptions options;
    options.log = sink;
    options.log_content = content;
    {
      RunningServer server(options);
      Client client(server.port());
      EXPECT_EQ(client.post("/v1/moderations", {{"input", "my secret spoon"}}).status, 200);
      EXPECT_EQ(client.ask("GET", "/secret-path?token=abc").status, 404);
    }
    const std::lock_guard lock(mutex);
    EXPECT_EQ(logged.find("secret spoon") != std::string::npos, content);
    EXPECT_EQ(logged.find("token=abc"), std::string::npos);
    std::size_t requests = 0;
    for (std::size_t at = 0; at < logged.size();) {
      const std::size_t end = logged.find('\n', at);
      const json line = json::parse(logged.substr(at, end - at), nullptr, false);
      ASSERT_TRUE(line.is_object()) << logged;
      if (line["event"] == "request") ++requests;
      at = end + 1;
    }
    EXPECT_EQ(requests, 2u);
  }
}

}  // namespace
}  // namespace qwen3guard::server::test
