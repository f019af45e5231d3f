// What the live board shows of a gateway: its metrics, and the page itself.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "chat_fixture.h"
#include "guard_fixture.h"
#include "running_gateway.h"
#include "scripted_upstream.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {
namespace {

using server::test::Answer;
using server::test::Client;

TEST(Board, TextThatWaitsForAVerdictIsCounted) {
  std::promise<void> seen;
  ScriptedUpstream upstream([go = seen.get_future().share()](ScriptedUpstream::Peer& peer) {
    peer.read_request();
    peer.send_stream_head();
    peer.send_chunk(event({{"content", "Carve along the gra"}}));
    go.wait();
    peer.send_chunk(event({{"content", "in."}}) + event(nlohmann::json::object(), "stop") +
                    sse_event("[DONE]"));
    peer.end_stream();
  });
  RunningGateway gateway(upstream.port(), {}, policy());
  auto answer = std::async(std::launch::async, [&] {
    Client client(gateway.port());
    return client.post(kPath, request());
  });
  double held = 0;
  for (int i = 0; i < 400 && held == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    held = gateway.metric("qwen3guard_gateway_held_bytes ");
  }
  // "gra" may become another token; what stands before it is judged.
  EXPECT_GE(held, 3);
  EXPECT_LT(held, 19);
  seen.set_value();
  EXPECT_EQ(receive(answer.get().body).content.at(0), "Carve along the grain.");
  EXPECT_EQ(gateway.outcomes("complete"), 1);
  EXPECT_EQ(gateway.metric("qwen3guard_gateway_held_bytes "), 0);
}

TEST(Board, ThePageStandsAtTheRootWhereItIsAskedFor) {
  ScriptedUpstream upstream([](ScriptedUpstream::Peer& peer) {
    peer.read_request();
    peer.send_plain("the upstream's");
  });
  const auto at = [&](bool page, const char* path) {
    GatewayOptions options;
    options.page = page;
    RunningGateway gateway(upstream.port(), options);
    return Client(gateway.port()).ask("GET", path);
  };
  EXPECT_EQ(at(false, "/").body, "the upstream's");
  EXPECT_EQ(at(false, "/assets/a.js").body, "the upstream's");
  EXPECT_EQ(upstream.connections(), 2u);

  const Answer page = at(true, "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("id=\"board\""), std::string::npos);
  EXPECT_EQ(at(true, "/assets/a.js").status, 404);
  EXPECT_EQ(upstream.connections(), 2u);
  EXPECT_EQ(at(true, "/v1/models").body, "the upstream's");
}

}  // namespace
}  // namespace qwen3guard::gateway::test
