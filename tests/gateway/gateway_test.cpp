// The gateway between a client and a scripted upstream, over real sockets.
#include "gateway/gateway.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <mutex>

#include "chat_fixture.h"
#include "guard_fixture.h"
#include "running_gateway.h"
#include "scripted_upstream.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {
namespace {

using nlohmann::json;
using server::test::Answer;
using server::test::Client;
using Peer = ScriptedUpstream::Peer;

TEST(Gateway, SafeStreamsArriveWhole) {
  ScriptedUpstream upstream(streaming(kHarmless));
  for (const ResponseMode mode :
       {ResponseMode::kHold, ResponseMode::kChunked, ResponseMode::kCut, ResponseMode::kAudit}) {
    GatewayOptions options;
    options.guard.filter.mode = mode;
    RunningGateway gateway(upstream.port(), options, policy());
    Client client(gateway.port());
    for (int i = 0; i < 2; ++i) {  // the connection stays
      const Answer answer = client.post(kPath, request());
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.headers.at("content-type"), "text/event-stream");
      EXPECT_EQ(answer.headers.at("x-upstream"), "yes");
      const Received received = receive(answer.body);
      EXPECT_EQ(received.content.at(0), kHarmless);
      EXPECT_EQ(received.finish.at(0), "stop");
      EXPECT_TRUE(received.done && answer.complete);
    }
    EXPECT_EQ(gateway.outcomes("complete"), 2);
  }
}

TEST(Gateway, AFlaggedStreamIsStoppedAndItsUpstreamCancelled) {
  std::promise<bool> cancelled;
  ScriptedUpstream upstream([&](Peer& peer) {
    peer.read_request();
    peer.send_stream_head();
    peer.send_chunk(event({{"content", kHarmful}}));
    cancelled.set_value(peer.closed_by_gateway());
  });
  RunningGateway gateway(upstream.port(), {}, policy());
  Client client(gateway.port());
  const Answer answer = client.post(kPath, request());
  const Received received = receive(answer.body);
  EXPECT_EQ(received.content.at(0), kHarmful.substr(0, safe_bytes(kHarmful, policy())));
  EXPECT_EQ(received.finish.at(0), "content_filter");
  EXPECT_TRUE(received.done && answer.complete);
  EXPECT_TRUE(cancelled.get_future().get());
  EXPECT_EQ(gateway.outcomes("flagged"), 1);
}

TEST(Gateway, CutCountsWhatLeaked) {
  ScriptedUpstream upstream(streaming(kHarmful));
  GatewayOptions options;
  options.guard.filter.mode = ResponseMode::kCut;
  RunningGateway gateway(upstream.port(), options, policy());
  Client client(gateway.port());
  const Received received = receive(client.post(kPath, request()).body);
  EXPECT_EQ(received.finish.at(0), "content_filter");
  const std::size_t safe = safe_bytes(kHarmful, policy());
  ASSERT_GE(received.content.at(0).size(), safe);
  EXPECT_EQ(gateway.metric("qwen3guard_gateway_leaked_characters_total "),
            static_cast<double>(received.content.at(0).size() - safe));
}

TEST(Gateway, PlainAnswersAreJudgedWhole) {
  ScriptedUpstream upstream([](Peer& peer) {
    const bool harmful = peer.read_request().find("X-Harm") != std::string::npos;
    peer.send_plain(completion(harmful ? kHarmful : kHarmless));
  });
  GatewayOptions options;
  options.guard.on_flag = OnFlag::kReplace;
  options.guard.replacement = "No.";
  RunningGateway gateway(upstream.port(), options, policy());
  Client client(gateway.port());
  EXPECT_EQ(client.post(kPath, request(false)).json(), json::parse(completion(kHarmless)));
  const json flagged = client.post(kPath, request(false), {{"X-Harm", "1"}}).json();
  EXPECT_EQ(flagged["choices"][0]["message"]["content"],
            kHarmful.substr(0, safe_bytes(kHarmful, policy())) + "No.");
  EXPECT_EQ(flagged["choices"][0]["finish_reason"], "content_filter");
  EXPECT_EQ(flagged["choices"][0]["qwen3guard"]["decision"], "block");
  EXPECT_EQ(gateway.outcomes("flagged"), 1);
}

TEST(Gateway, ABlockedPromptEndsBeforeAnyByte) {
  const Policy blocks_all = *Policy::parse(R"({"version":1,"threshold":0.0001})");
  for (const bool first : {false, true}) {
    ScriptedUpstream upstream([](Peer& peer) {
      peer.read_request();
      peer.closed_by_gateway();
    });
    GatewayOptions options;
    options.prompt_first = first;
    {
      RunningGateway gateway(upstream.port(), options, blocks_all);
      Client client(gateway.port());
      const Answer answer = client.post(kPath, request());
      EXPECT_EQ(answer.status, 400);
      EXPECT_EQ(answer.code(), "content_filter");
      EXPECT_EQ(gateway.outcomes("prompt_blocked"), 1);
    }
    {
      options.guard.on_flag = OnFlag::kReplace;
      options.guard.replacement = "No.";
      RunningGateway gateway(upstream.port(), options, blocks_all);
      Client client(gateway.port());
      const Answer streamed = client.post(kPath, request());
      EXPECT_EQ(receive(streamed.body).content.at(0), "No.");
      const Answer plain = client.post(kPath, request(false));
      EXPECT_EQ(plain.json()["choices"][0]["message"]["content"], "No.");
    }
    upstream.join();
    // Else it is asked while the prompt is judged, which may be over first.
    if (first) {
      EXPECT_EQ(upstream.connections(), 0u);
    }
  }
}

TEST(Gateway, RequestsThatCannotBeJudgedAreRefused) {
  ScriptedUpstream upstream([](Peer& peer) {
    peer.read_request();
    peer.send_plain(completion(kHarmful));
  });
  const json image = {
      {"messages",
       {{{"role", "user"},
         {"content", {{{"type", "image_url"}, {"image_url", {{"url", "http://a/b.png"}}}}}}}}}};
  {
    RunningGateway gateway(upstream.port(), {}, policy());
    Client client(gateway.port());
    EXPECT_EQ(client.post(kPath, image).code(), "unsupported");
    EXPECT_EQ(client.ask("POST", kPath, "{").code(), "invalid_json");
    EXPECT_EQ(client.ask("POST", kPath, R"({"messages":[],"messages":[]})").status, 400);
    json many = request();
    many["n"] = 1000;
    EXPECT_EQ(client.post(kPath, many).status, 400);
    EXPECT_EQ(client.ask("GET", kPath).status, 405);
    EXPECT_EQ(gateway.outcomes("refused"), 4);
  }
  GatewayOptions options;
  options.guard.fail_open = true;
  RunningGateway gateway(upstream.port(), options, policy());
  Client client(gateway.port());
  EXPECT_EQ(client.post(kPath, image).json(), json::parse(completion(kHarmful)));
  EXPECT_EQ(client.ask("POST", kPath, "{").code(), "invalid_json");
  EXPECT_EQ(gateway.outcomes("failed_open"), 1);
}

TEST(Gateway, NoSpellingOfThePathGoesAroundTheGuard) {
  ScriptedUpstream upstream([](Peer& peer) {
    peer.read_request();
    peer.send_plain(completion(kHarmful));
  });
  RunningGateway gateway(upstream.port(), {}, policy());
  Client client(gateway.port());
  for (const char* path : {"//v1/chat//completions", "/v1/chat/completions/",
                           "/v1/%63hat/completions", "/v1/chat%2Fcompletions",
                           "/V1/Chat/Completions", "/openai/deployments/x/chat/completions"}) {
    const json answer = client.post(path, request(false)).json();
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "content_filter") << path;
  }
  for (const char* path : {"/v1/x/../chat/completions", "/v1/./chat/completions", "/v1/%2e%2e/a",
                           "/v1/chat/completions%00", "/%zz"}) {
    EXPECT_EQ(client.post(path, request(false)).status, 400) << path;
  }
}

TEST(Gateway, OtherRequestsPassThrough) {
  std::mutex mutex;
  std::string seen;
  ScriptedUpstream upstream([&](Peer& peer) {
    {
      const std::string bytes = peer.read_request();
      const std::lock_guard lock(mutex);
      seen = bytes;
    }
    peer.send(
        "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
        "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nuntil the end");
  });
  RunningGateway gateway(upstream.port());
  Client client(gateway.port());
  const Answer answer = client.ask("PUT", "/v1/files?x=1", "body",
                                   {{"Authorization", "Bearer sk-1"},
                                    {"Accept-Encoding", "gzip"},
                                    {"TE", "trailers"},
                                    {"Connection", "X-Secret"},
                                    {"X-Secret", "1"},
                                    {"X-Mine", "2"}});
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "until the end");
  EXPECT_EQ(answer.headers.count("x-hop"), 0u);
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain");
  const std::lock_guard lock(mutex);
  EXPECT_EQ(seen.rfind("PUT /v1/files?x=1 HTTP/1.1\r\n", 0), 0u) << seen;
  for (const char* kept : {"Authorization: Bearer sk-1", "X-Mine: 2", "Accept-Encoding: identity",
                           "Host: 127.0.0.1:", "\r\n\r\nbody"}) {
    EXPECT_NE(seen.find(kept), std::string::npos) << kept << seen;
  }
  for (const char* dropped : {"gzip", "TE:", "X-Secret"}) {
    EXPECT_EQ(seen.find(dropped), std::string::npos) << dropped << seen;
  }
  // Our own routes are not the upstream's.
  Client ours(gateway.port());
  EXPECT_EQ(ours.ask("GET", "/health").json()["status"], "ok");
  EXPECT_EQ(ours.ask("GET", "/ready").json()["status"], "ready");
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST(Gateway, PassThroughCanBeSwitchedOff) {
  ScriptedUpstream upstream([](Peer& peer) { peer.read_request(); });
  GatewayOptions options;
  options.pass_through = false;
  RunningGateway gateway(upstream.port(), options);
  Client client(gateway.port());
  EXPECT_EQ(client.ask("POST", "/v1/completions", "{}").status, 404);
  EXPECT_EQ(upstream.connections(), 0u);
}

TEST(Gateway, KeysOfTheGatewayStayHere) {
  std::promise<std::string> seen;
  ScriptedUpstream upstream([&](Peer& peer) {
    seen.set_value(peer.read_request());
    peer.send_plain(completion(kHarmless));
  });
  GatewayOptions options;
  options.server.keys = *server::ApiKeys::parse("alice 0123456789abcdef");
  options.upstream_key = "sk-upstream";
  RunningGateway gateway(upstream.port(), options);
  Client client(gateway.port());
  EXPECT_EQ(client.post(kPath, request(false)).status, 401);
  const Answer answer =
      client.post(kPath, request(false), {{"Authorization", "Bearer 0123456789abcdef"}});
  EXPECT_EQ(answer.status, 200);
  const std::string bytes = seen.get_future().get();
  EXPECT_EQ(bytes.find("0123456789abcdef"), std::string::npos);
  EXPECT_NE(bytes.find("Authorization: Bearer sk-upstream"), std::string::npos);
}

TEST(Gateway, ErrorsOfTheUpstreamArePassedOn) {
  ScriptedUpstream upstream([](Peer& peer) {
    peer.read_request();
    peer.send_plain(R"({"error":{"code":"model_not_found"}})", "404 Not Found");
  });
  RunningGateway gateway(upstream.port());
  Client client(gateway.port());
  const Answer answer = client.post(kPath, request());
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.json()["error"]["code"], "model_not_found");
  EXPECT_EQ(gateway.outcomes("upstream_error"), 1);
}

TEST(Gateway, AnAnswerBegunByTheClientIsJudgedAsOne) {
  const std::size_t begun = kHarmful.find(" ammonia");
  ScriptedUpstream upstream(streaming(kHarmful.substr(begun)));
  RunningGateway gateway(upstream.port(), {}, policy());
  Client client(gateway.port());
  json asked = request();
  asked["messages"].push_back({{"role", "assistant"}, {"content", kHarmful.substr(0, begun)}});
  const Received received = receive(client.post(kPath, asked).body);
  const std::size_t safe = std::max(begun, safe_bytes(kHarmful, policy()));
  const auto sent = received.content.find(0);
  EXPECT_EQ(sent == received.content.end() ? "" : sent->second,
            kHarmful.substr(begun, safe - begun));
  EXPECT_EQ(received.finish.at(0), "content_filter");
}

}  // namespace
}  // namespace qwen3guard::gateway::test
