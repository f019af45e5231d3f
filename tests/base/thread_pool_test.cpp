#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace qwen3guard::base {
namespace {

TEST(ThreadPool, CoversEveryIndexOnceForAnyGrain) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const std::size_t count : {0u, 1u, 7u, 1000u}) {
      for (const std::size_t grain : {1u, 3u, 64u, 5000u}) {
        std::vector<std::atomic<int>> seen(count);
        pool.parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) seen[i].fetch_add(1);
        });
        for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(seen[i].load(), 1) << i;
      }
    }
  }
}

TEST(ThreadPool, ResultsAreVisibleToTheCallerLoopAfterLoop) {
  ThreadPool pool(3);
  std::vector<int> values(257, 0);
  for (int round = 1; round <= 2000; ++round) {
    pool.parallel_for(values.size(), 16, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) values[i] += 1;
    });
    ASSERT_EQ(values.front(), round);
    ASSERT_EQ(values.back(), round);
  }
}

TEST(ThreadPool, SeveralCallersTakeTurns) {
  ThreadPool pool(2);
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        pool.parallel_for(50, 5, [&](std::size_t begin, std::size_t end) {
          total.fetch_add(static_cast<int>(end - begin));
        });
      }
    });
  }
  for (std::thread& thread : callers) thread.join();
  EXPECT_EQ(total.load(), 4 * 200 * 50);
}

}  // namespace
}  // namespace qwen3guard::base
