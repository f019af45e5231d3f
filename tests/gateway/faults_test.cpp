// What goes wrong on either side of the gateway, one test a fault.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>

#include "chat_fixture.h"
#include "running_gateway.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using server::test::Answer;
using server::test::Client;
using server::test::request_bytes;
using Peer = ScriptedUpstream::Peer;

// The last words may change as long as more may follow.
const std::string kBegun = "First, find a dry branch. Then carve";

// A stream that breaks after kBegun, and what the client got of it.
Received broken_stream(const ScriptedUpstream::Script& breaks, const std::string& outcome,
                       const GatewayOptions& options = {}) {
  ScriptedUpstream upstream([&](Peer& peer) {
    peer.read_request();
    peer.send_stream_head();
    peer.send_chunk(event({{"content", kBegun}}));
    breaks(peer);
  });
  RunningGateway gateway(upstream.port(), options, policy());
  Client client(gateway.port());
  const Answer answer = client.post(kPath, request());
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(gateway.outcomes(outcome), 1);
  const Received received = receive(answer.body);
  EXPECT_FALSE(received.done);
  EXPECT_EQ(received.finish.size(), 0u);
  if (received.content.count(0) != 0) {
    EXPECT_EQ(kBegun.rfind(received.content.at(0), 0), 0u);
  }
  return received;
}

TEST(Faults, AnUpstreamThatHangsInTheMiddle) {
  GatewayOptions options;
  options.limits.between = 200ms;
  const auto hang = [](Peer& peer) { peer.closed_by_gateway(); };
  EXPECT_EQ(broken_stream(hang, "upstream_timeout", options).error, "upstream_timeout");
}

TEST(Faults, AnUpstreamThatClosesInTheMiddleOfAChunk) {
  const auto close = [](Peer& peer) { peer.send("ff\r\ndata: {\"choices\":[{\"ind"); };
  EXPECT_EQ(broken_stream(close, "upstream_failed").error, "upstream_failed");
}

TEST(Faults, AnUpstreamThatEndsItsStreamWithoutFinishing) {
  const auto end = [](Peer& peer) { peer.end_stream(); };
  EXPECT_EQ(broken_stream(end, "upstream_failed").error, "upstream_failed");
}

TEST(Faults, AnUpstreamThatResets) {
  const auto reset = [](Peer& peer) { peer.reset(); };
  EXPECT_EQ(broken_stream(reset, "upstream_failed").error, "upstream_failed");
}

TEST(Faults, AnUpstreamThatSendsGarbage) {
  const auto garbage = [](Peer& peer) {
    peer.send_chunk("data: \x01\xFF not json\n\n");
    peer.closed_by_gateway();
  };
  EXPECT_EQ(broken_stream(garbage, "upstream_failed").error, "upstream_failed");
  const auto no_chunk = [](Peer& peer) {
    peer.send("zzz\r\n");
    peer.closed_by_gateway();
  };
  EXPECT_EQ(broken_stream(no_chunk, "upstream_failed").error, "upstream_failed");
}

TEST(Faults, AnUpstreamThatSendsTenMegabytesWithoutANewline) {
  const auto flood = [](Peer& peer) {
    const std::string megabyte(1u << 20, 'a');
    for (int i = 0; i < 10 && peer.send_chunk(megabyte); ++i) {
    }
    peer.closed_by_gateway();
  };
  EXPECT_EQ(broken_stream(flood, "upstream_failed").error, "upstream_failed");
}

TEST(Faults, AGuardThatFailsInTheMiddle) {
  const auto more = [](Peer& peer) {
    peer.send_chunk(event({{"content", std::string(2000, 'a')}}));
    peer.closed_by_gateway();
  };
  GatewayOptions options;
  options.guard.filter.text_bytes = 1000;
  EXPECT_EQ(broken_stream(more, "guard_failed", options).error, "guard_failed");

  const std::string text = std::string(2000, 'a') + kHarmful;
  ScriptedUpstream upstream(streaming(text));
  options.guard.fail_open = true;
  RunningGateway gateway(upstream.port(), options, policy());
  Client client(gateway.port());
  EXPECT_EQ(receive(client.post(kPath, request()).body).content.at(0), text);
  EXPECT_EQ(gateway.outcomes("failed_open"), 1);
}

// An upstream that breaks before its answer's head, or with a head that is no good.
Answer no_answer(const ScriptedUpstream::Script& script, const std::string& outcome,
                 const GatewayOptions& options = {}) {
  ScriptedUpstream upstream([&](Peer& peer) {
    peer.read_request();
    script(peer);
  });
  RunningGateway gateway(upstream.port(), options);
  Client client(gateway.port());
  const Answer answer = client.post(kPath, request(false));
  EXPECT_EQ(gateway.outcomes(outcome), 1);
  return answer;
}

TEST(Faults, AnUpstreamThatNeverAnswers) {
  GatewayOptions options;
  options.limits.first_byte = 200ms;
  const auto hang = [](Peer& peer) { peer.closed_by_gateway(); };
  const Answer answer = no_answer(hang, "upstream_timeout", options);
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.code(), "upstream_timeout");
}

TEST(Faults, AnUpstreamThatAnswersNonsense) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
  const std::vector<std::string> answers = {
      "",
      "nonsense\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n",
      head + "Content-Length: 100\r\n\r\n{\"choices\":[",
      head + "Content-Length: 2\r\n\r\n{}",
      head + "Content-Length: 18446744073709551615\r\n\r\n{}",
      head + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
      head + "Content-Length: 14\r\n\r\n{\"choices\":[]}",
      head + "Content-Length: 15\r\n\r\n{\"choices\":[5]}",
  };
  for (const std::string& bytes : answers) {
    const Answer answer = no_answer([&](Peer& peer) { peer.send(bytes); }, "upstream_failed");
    EXPECT_EQ(answer.status, 502) << bytes.substr(0, 100);
    EXPECT_EQ(answer.code(), "upstream_failed");
  }
}

TEST(Faults, AnAnswerThatIsTooLong) {
  GatewayOptions options;
  options.plain_bytes = 1000;
  const auto send = [](Peer& peer) { peer.send_plain(completion(std::string(2000, 'a'))); };
  EXPECT_EQ(no_answer(send, "upstream_failed", options).status, 502);
}

TEST(Faults, NobodyListensUpstream) {
  std::uint16_t port;
  {
    const ScriptedUpstream gone([](Peer&) {});
    port = gone.port();
  }
  RunningGateway gateway(port);
  Client client(gateway.port());
  EXPECT_EQ(client.post(kPath, request()).status, 502);
  EXPECT_EQ(client.ask("GET", "/v1/models").status, 502);
  EXPECT_EQ(gateway.outcomes("upstream_failed"), 1);
}

TEST(Faults, AClientThatVanishesInTheMiddle) {
  std::promise<bool> cancelled;
  ScriptedUpstream upstream([&](Peer& peer) {
    peer.read_request();
    peer.send_stream_head();
    peer.send_chunk(event({{"content", kBegun}}));
    cancelled.set_value(peer.closed_by_gateway());
  });
  RunningGateway gateway(upstream.port());
  Client client(gateway.port());
  client.send(request_bytes("POST", kPath, request().dump()));
  EXPECT_EQ(client.receive_head().status, 200);
  EXPECT_NE(client.receive_chunk(), "");
  client.vanish();
  EXPECT_TRUE(cancelled.get_future().get());
  EXPECT_EQ(gateway.outcomes("client_gone"), 1);
}

TEST(Faults, AClientThatVanishesBeforeTheAnswer) {
  for (const char* path : {"/v1/chat/completions", "/v1/models"}) {
    std::promise<void> asked;
    std::promise<bool> cancelled;
    ScriptedUpstream upstream([&](Peer& peer) {
      peer.read_request();
      asked.set_value();
      cancelled.set_value(peer.closed_by_gateway());
    });
    RunningGateway gateway(upstream.port());
    Client client(gateway.port());
    client.send(request_bytes("POST", path, request().dump()));
    asked.get_future().wait();
    client.vanish();
    EXPECT_TRUE(cancelled.get_future().get()) << path;
  }
}

TEST(Faults, AClientThatDoesNotRead) {
  constexpr std::size_t kMost = 512u << 20;
  std::promise<std::size_t> sent;
  ScriptedUpstream upstream([&](Peer& peer) {
    peer.read_request();
    peer.send_stream_head();
    const std::string chunk = event({{"content", std::string(60'000, 'a')}});
    std::size_t bytes = 0;
    while (bytes < kMost && peer.send_chunk(chunk)) bytes += chunk.size();
    sent.set_value(bytes);
  });
  GatewayOptions options;
  options.guard.filter.mode = ResponseMode::kAudit;  // fails open at once: no model is waited for
  options.guard.filter.text_bytes = 1;
  options.server.http.write = 300ms;
  RunningGateway gateway(upstream.port(), options);
  Client client(gateway.port());
  client.send(request_bytes("POST", kPath, request().dump()));
  // What the upstream got rid of waits in the sockets' buffers; the gateway keeps little of it.
  EXPECT_LT(sent.get_future().get(), kMost / 4);
  EXPECT_EQ(gateway.outcomes("client_gone"), 1);
}

// An upstream that goes on when it is told to.
struct Paused {
  std::promise<void> go_on;
  std::shared_future<void> told = go_on.get_future().share();
  ScriptedUpstream upstream{[this](Peer& peer) {
    peer.read_request();
    peer.send_stream_head();
    peer.send_chunk(event({{"content", kBegun}}));
    told.wait();
    peer.send_chunk(event(json::object(), "stop") + sse_event("[DONE]"));
    peer.end_stream();
  }};
};

TEST(Faults, DrainingFinishesStreamsUnderWay) {
  Paused paused;
  RunningGateway gateway(paused.upstream.port());
  Client client(gateway.port());
  client.send(request_bytes("POST", kPath, request().dump()));
  EXPECT_EQ(client.receive_head().status, 200);
  std::string body = client.receive_chunk();
  gateway.drain();
  EXPECT_FALSE(gateway.stops(0s));
  paused.go_on.set_value();
  for (std::string chunk; !(chunk = client.receive_chunk()).empty();) body += chunk;
  const Received received = receive(body);
  EXPECT_EQ(received.content.at(0), kBegun);
  EXPECT_TRUE(received.done && !client.broken());
  EXPECT_TRUE(gateway.stops());
}

TEST(Faults, DrainingEndsEvenWhenAStreamDoesNot) {
  Paused paused;
  {
    GatewayOptions options;
    options.server.http.drain = 100ms;
    RunningGateway gateway(paused.upstream.port(), options);
    Client client(gateway.port());
    client.send(request_bytes("POST", kPath, request().dump()));
    EXPECT_NE(client.receive_head().status, 0);
    gateway.drain();
    EXPECT_TRUE(gateway.stops());
  }
  paused.go_on.set_value();
}

TEST(Faults, MoreStreamsThanMayBe) {
  for (const bool open : {false, true}) {
    Paused paused;
    GatewayOptions options;
    options.streams = 1;
    options.guard.fail_open = open;
    RunningGateway gateway(paused.upstream.port(), options);
    Client first(gateway.port()), second(gateway.port());
    first.send(request_bytes("POST", kPath, request().dump()));
    EXPECT_EQ(first.receive_head().status, 200);
    second.send(request_bytes("POST", kPath, request().dump()));
    if (open) {
      EXPECT_EQ(second.receive_head().status, 200);
      paused.go_on.set_value();
      while (!second.receive_chunk().empty()) {
      }
      EXPECT_EQ(gateway.outcomes("failed_open"), 1);
    } else {
      const Answer answer = second.receive();
      EXPECT_EQ(answer.status, 503);
      EXPECT_EQ(answer.code(), "overloaded");
      EXPECT_EQ(gateway.outcomes("overloaded"), 1);
      paused.go_on.set_value();
    }
    while (!first.receive_chunk().empty()) {
    }
    EXPECT_FALSE(first.broken());
  }
}

}  // namespace
}  // namespace qwen3guard::gateway::test
