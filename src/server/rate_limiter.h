// How much each client may ask.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "server/prompt_cache.h"

namespace qwen3guard::server {

/// A token bucket for each client, as large as a minute's requests: who was quiet for a minute may
/// send them at once. Clients are those of the key file, so that there are few. Thread-safe.
class RateLimiter {
 public:
  /// 0: no limit.
  explicit RateLimiter(std::size_t requests_per_minute,
                       Clock clock = std::chrono::steady_clock::now)
      : capacity_(static_cast<double>(requests_per_minute)), now_(std::move(clock)) {}

  /// Counts a request; or, where it is one too many, how long until another may come.
  std::optional<std::chrono::seconds> take(const std::string& client);

 private:
  struct Bucket {
    double level;
    std::chrono::steady_clock::time_point filled;
  };

  const double capacity_;
  const Clock now_;
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace qwen3guard::server
