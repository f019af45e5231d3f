#include "server/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace qwen3guard::server {

std::optional<std::chrono::seconds> RateLimiter::take(const std::string& client) {
  if (capacity_ == 0) return std::nullopt;
  const double per_second = capacity_ / 60;
  const auto now = now_();
  const std::lock_guard lock(mutex_);
  Bucket& bucket = buckets_.try_emplace(client, Bucket{capacity_, now}).first->second;
  const std::chrono::duration<double> passed = now - bucket.filled;
  bucket.level = std::min(capacity_, bucket.level + passed.count() * per_second);
  bucket.filled = now;
  if (bucket.level < 1) {
    return std::chrono::seconds(
        static_cast<std::int64_t>(std::ceil((1 - bucket.level) / per_second)));
  }
  bucket.level -= 1;
  return std::nullopt;
}

}  // namespace qwen3guard::server
