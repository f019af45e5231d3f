#include "apps/ordered_pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace qwen3guard::apps {
namespace {

using Pipeline = OrderedPipeline<int, int>;

TEST(OrderedPipeline, KeepsTheOrderWhateverTheWorkersDo) {
  for (const int workers : {1, 2, 7}) {
    std::vector<int> seen;
    Pipeline pipeline(
        workers, {.tasks = 5, .bytes = 100},
        [](int task) {
          // The first of each few takes longest.
          std::this_thread::sleep_for(std::chrono::microseconds(task % 5 == 0 ? 300 : 1));
          return task * 2;
        },
        [&](int outcome, bool) {
          seen.push_back(outcome);
          return Status();
        });
    for (int i = 0; i < 500; ++i)
      ASSERT_TRUE(pipeline.submit(i, static_cast<std::size_t>(i % 130)));
    ASSERT_TRUE(pipeline.finish().ok());
    ASSERT_EQ(seen.size(), 500u);
    for (int i = 0; i < 500; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], 2 * i);
  }
}

TEST(OrderedPipeline, StopsWhenTheSinkFails) {
  int received = 0;
  Pipeline pipeline(
      3, {.tasks = 4, .bytes = 100}, [](int task) { return task; },
      [&](int, bool) -> Status {
        if (++received == 10) return Error{ErrorCode::kIo, "full"};
        return {};
      });
  int submitted = 0;
  while (submitted < 100'000 && pipeline.submit(submitted, 1)) ++submitted;
  EXPECT_LT(submitted, 100);
  const Status status = pipeline.finish();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "full");
  EXPECT_EQ(received, 10);
}

TEST(OrderedPipeline, BoundsWhatIsInFlight) {
  std::atomic<int> in_flight{0}, most{0};
  Pipeline pipeline(
      2, {.tasks = 6, .bytes = 1000},
      [&](int task) {
        most = std::max(most.load(), in_flight.load());
        return task;
      },
      [&](int, bool) {
        --in_flight;
        return Status();
      });
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(pipeline.submit(i, 1));
    ++in_flight;
  }
  ASSERT_TRUE(pipeline.finish().ok());
  EXPECT_LE(most.load(), 8);  // one may be between the queue and the counter on either side
}

TEST(OrderedPipeline, TakesATaskThatExceedsTheBytesAlone) {
  int seen = 0;
  Pipeline pipeline(
      2, {.tasks = 6, .bytes = 10}, [](int task) { return task; },
      [&](int, bool) {
        ++seen;
        return Status();
      });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pipeline.submit(i, 1000));
  ASSERT_TRUE(pipeline.finish().ok());
  EXPECT_EQ(seen, 5);
}

TEST(OrderedPipeline, EndsWithoutTasks) {
  Pipeline pipeline(
      2, {}, [](int task) { return task; }, [](int, bool) { return Status(); });
  EXPECT_TRUE(pipeline.finish().ok());
}

}  // namespace
}  // namespace qwen3guard::apps
