// Counters and histograms in Prometheus' text format.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qwen3guard/verdict.h"

namespace qwen3guard::server {

/// Thread-safe. Labels have few values by construction: routes, statuses, categories, error codes;
/// never what a request brings.
class Metrics {
 public:
  /// A number read when the metrics are asked for.
  struct Gauge {
    const char* name;
    const char* help;
    double value;
  };

  explicit Metrics(std::string prefix) : prefix_(std::move(prefix)) {}

  void request(std::string_view route, int status, double seconds);
  void verdict(const Verdict& verdict);
  void error(std::string_view code);
  void prompt_lookup(bool found);
  /// A request that was one too many of its client's "requests" or "streams".
  void rate_limited(std::string_view limit);

  /// A counter of whoever extends the server.
  struct Counter {
    const char* name;
    const char* help;
    const char* label;  // none: nullptr
  };
  /// REQUIRES: `counter` lives for ever.
  void count(const Counter& counter, std::string_view value, std::uint64_t amount = 1);

  std::string render(const std::vector<Gauge>& gauges) const;

 private:
  struct Histogram {
    std::vector<std::uint64_t> buckets;  // not cumulative; the last one is +Inf
    double sum = 0;
  };
  using Counts = std::map<std::string, std::uint64_t>;  // by labels, as text

  const std::string prefix_;
  mutable std::mutex mutex_;
  Counts requests_;
  Counts verdicts_;
  Counts errors_;
  Counts prompt_lookups_;
  Counts rate_limited_;
  std::map<const Counter*, Counts> others_;
  std::uint64_t tokens_ = 0;
  std::map<std::string, Histogram> seconds_;
};

}  // namespace qwen3guard::server
