// What becomes of calls under way when the client of the upstream stops.
#include "gateway/upstream.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>

#include "scripted_upstream.h"

namespace qwen3guard::gateway::test {
namespace {

// As a request of the gateway: it holds its call, whose callbacks hold it.
struct Asker {
  std::shared_ptr<UpstreamCall> call;
  std::promise<void> head_came;
};

void expect_that_stop_drops_the_asker(bool in_the_body) {
  std::promise<void> over;
  ScriptedUpstream peers([&, told = over.get_future().share()](ScriptedUpstream::Peer& peer) {
    peer.read_request();
    if (in_the_body) peer.send_stream_head();
    told.wait();
  });
  auto upstream =
      Upstream::create(*parse_url("http://127.0.0.1:" + std::to_string(peers.port())), {});
  ASSERT_TRUE(upstream.ok()) << upstream.error().message;
  auto asker = std::make_shared<Asker>();
  const std::weak_ptr<Asker> weak = asker;
  asker->call = (*upstream)->start({"GET", "/", {}, ""},
                                   [asker](std::shared_ptr<UpstreamCall>, Result<UpstreamHead>) {
                                     asker->head_came.set_value();
                                   });
  if (in_the_body) {
    EXPECT_EQ(asker->head_came.get_future().wait_for(std::chrono::seconds(20)),
              std::future_status::ready);
    asker->call->read([asker](Result<std::string>) {});
  }
  asker = nullptr;
  EXPECT_FALSE(weak.expired());
  (*upstream)->stop();
  EXPECT_TRUE(weak.expired());
  over.set_value();
}

TEST(Upstream, StoppingDropsCallsThatWaitForTheirHead) { expect_that_stop_drops_the_asker(false); }

TEST(Upstream, StoppingDropsCallsThatWaitForMore) { expect_that_stop_drops_the_asker(true); }

TEST(Upstream, StoppingDropsCallsThatHaveNotBegun) {
  const Listener nobody = listen_on_loopback();
  for (int i = 0; i < 200; ++i) {
    auto upstream =
        Upstream::create(*parse_url("http://127.0.0.1:" + std::to_string(nobody.port)), {});
    ASSERT_TRUE(upstream.ok()) << upstream.error().message;
    auto asker = std::make_shared<Asker>();
    const std::weak_ptr<Asker> weak = asker;
    asker->call = (*upstream)->start(
        {"GET", "/", {}, ""}, [asker](std::shared_ptr<UpstreamCall>, Result<UpstreamHead>) {});
    asker = nullptr;
    (*upstream)->stop();
    ASSERT_TRUE(weak.expired()) << i;
  }
  ::close(nobody.socket);
}

}  // namespace
}  // namespace qwen3guard::gateway::test
