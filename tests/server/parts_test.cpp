// The server's parts by themselves.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>

#include "server/api_keys.h"
#include "server/metrics.h"
#include "server/prompt_cache.h"
#include "server/rate_limiter.h"
#include "server/request_id.h"
#include "server/routes.h"
#include "server/worker_pool.h"

namespace qwen3guard::server {
namespace {

TEST(PromptCache, ForgetsTheLeastRecentlyUsedAndTheOld) {
  std::chrono::steady_clock::time_point now{};
  PromptCache cache({.entries = 2, .time_to_live = std::chrono::seconds(10)}, [&] { return now; });
  const auto said = [](const char* text) { return Conversation{{Role::kUser, text}}; };
  cache.put("a", said("1"));
  cache.put("b", said("2"));
  EXPECT_EQ(cache.get("a")->front().content, "1");
  cache.put("c", said("3"));
  EXPECT_FALSE(cache.get("b"));
  EXPECT_TRUE(cache.get("a") && cache.get("c"));
  cache.put("a", said("4"));
  EXPECT_EQ(cache.get("a")->front().content, "4");
  EXPECT_EQ(cache.size(), 2u);
  now += std::chrono::seconds(10);
  EXPECT_FALSE(cache.get("a"));
}

TEST(PromptCache, IsBoundedInBytes) {
  PromptCache cache({.entries = 100, .bytes = 10'000});
  for (int i = 0; i < 100; ++i) {
    cache.put(std::to_string(i), {{Role::kUser, std::string(2'000, 'x')}});
  }
  EXPECT_LE(cache.size(), 4u);
  EXPECT_TRUE(cache.get("99"));
  cache.put("99", {{Role::kUser, std::string(20'000, 'x')}});
  EXPECT_FALSE(cache.get("99"));
}

TEST(WorkerPool, RefusesWhatIsTooMuchAndDropsWhatWaitsAtTheEnd) {
  std::promise<void> open, started;
  std::atomic<int> ran = 0;
  bool taken = false, waiting = false, refused = true;
  {
    WorkerPool pool(1, 1);
    taken = pool.submit([&] {
      started.set_value();
      open.get_future().wait();
      ++ran;
    });
    started.get_future().wait();
    waiting = pool.submit([&] { ++ran; });
    refused = !pool.submit([&] { ++ran; });
    EXPECT_EQ(pool.waiting(), 1u);
    open.set_value();
  }
  EXPECT_TRUE(taken && waiting && refused);
  EXPECT_GE(ran, 1);
}

TEST(ApiKeys, FilesThatProtectNothingAreRefused) {
  for (const char* text : {"", "# only a comment\n", "short\n", "a b 0123456789abcdef\n",
                           "0123456789abcdef\n0123456789abcdef\n", "0123456789abcdef\x01\n"}) {
    EXPECT_FALSE(ApiKeys::parse(text).ok()) << text;
  }
  EXPECT_TRUE(ApiKeys::parse("  name\t 0123456789abcdef \r\n\r\n").ok());
}

TEST(ApiKeys, WithoutKeysEverybodyMayAsk) { EXPECT_EQ(ApiKeys().client({}), std::string()); }

TEST(RateLimiter, GivesEachClientItsOwnBucket) {
  std::chrono::steady_clock::time_point now{};
  RateLimiter limiter(30, [&] { return now; });
  const auto allowed = [&](const char* client) {
    int count = 0;
    while (count < 1000 && !limiter.take(client)) ++count;
    return count;
  };
  EXPECT_EQ(allowed("a"), 30);
  EXPECT_EQ(limiter.take("a"), std::chrono::seconds(2));
  EXPECT_EQ(allowed("b"), 30);
  now += std::chrono::milliseconds(1500);
  EXPECT_EQ(limiter.take("a"), std::chrono::seconds(1));
  now += std::chrono::milliseconds(500);
  EXPECT_EQ(allowed("a"), 1);
  now += std::chrono::hours(1);
  EXPECT_EQ(allowed("a"), 30);
  RateLimiter unlimited(0);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(unlimited.take("a"));
}

TEST(RequestId, KeepsWhatIsFitAndReplacesTheRest) {
  EXPECT_EQ(request_id("Abc-1_2.3"), "Abc-1_2.3");
  for (const std::string& bad :
       {std::string(), std::string(129, 'a'), std::string("a\nb"), std::string("a b")}) {
    EXPECT_NE(request_id(bad), bad);
  }
  EXPECT_NE(random_id("x-"), random_id("x-"));
}

TEST(RouteTable, EveryPathIsFoundByItsMethodOnly) {
  for (const Route& route : routes()) {
    std::string path(route.path);
    const std::size_t at = path.find("{id}");
    if (at != path.npos) path.replace(at, 4, "abc");
    const RouteMatch match = find_route(route.method, path);
    ASSERT_EQ(match.route, &route);
    EXPECT_EQ(match.parameter, at != std::string::npos ? "abc" : "");
    EXPECT_FALSE(find_route("PATCH", path).allowed.empty());
    EXPECT_EQ(find_route(route.method, path + "/").route, nullptr);
  }
}

TEST(Metrics, WritesPrometheusText) {
  Metrics metrics("guard");
  metrics.request("/x", 200, 0.004);
  metrics.request("/x", 200, 100);
  metrics.error("too_long");
  const std::string page = metrics.render({{"streams", "Open streams.", 3}});
  for (const char* line : {"# TYPE guard_requests_total counter\n",
                           "guard_requests_total{route=\"/x\",status=\"200\"} 2\n",
                           "guard_request_seconds_bucket{route=\"/x\",le=\"0.0025\"} 0\n",
                           "guard_request_seconds_bucket{route=\"/x\",le=\"0.005\"} 1\n",
                           "guard_request_seconds_bucket{route=\"/x\",le=\"30\"} 1\n",
                           "guard_request_seconds_bucket{route=\"/x\",le=\"+Inf\"} 2\n",
                           "guard_request_seconds_count{route=\"/x\"} 2\n", "guard_streams 3\n"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line << page;
  }
}

}  // namespace
}  // namespace qwen3guard::server
