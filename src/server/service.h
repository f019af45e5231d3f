// What the routes work with: the guard and what is kept between requests.
#pragma once

#include <atomic>
#include <ctime>
#include <functional>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "qwen3guard/guard.h"
#include "server/http.h"
#include "server/metrics.h"
#include "server/prompt_cache.h"
#include "server/stream_store.h"

namespace qwen3guard::server {

/// Thread-safe.
class Service {
 public:
  struct Options {
    std::string model = "qwen3guard";  // the name that answers carry
    std::string metrics_prefix = "qwen3guard";
    std::size_t inputs = 256;  // texts in one request
    bool page = true;          // whether "/" shows the web page
    StreamStore::Limits streams;
    PromptCache::Limits prompts;
    Clock clock = std::chrono::steady_clock::now;
    /// What whoever runs the service adds to the metrics.
    std::function<std::vector<Metrics::Gauge>()> gauges;
  };

  Service(Guard guard, Policy policy, Options options);

  const Guard& guard() const { return guard_; }
  /// The one for what begins now; what is under way keeps its own.
  Policy policy() const;
  void set_policy(Policy policy);
  const std::string& model() const { return options_.model; }
  std::time_t started() const { return started_; }
  std::size_t max_inputs() const { return options_.inputs; }
  bool serves_page() const { return options_.page; }
  StreamStore& streams() { return streams_; }
  PromptCache& prompts() { return prompts_; }
  Metrics& metrics() { return metrics_; }
  std::string render_metrics();

  /// Guard::moderate, counted.
  Result<Verdict> moderate(const Conversation& conversation);
  /// Judges something harmless: whether verdicts can be had right now. The answer is reused for a
  /// second, so that asking costs little.
  Status check_ready();
  void start_draining() { draining_ = true; }

  /// A verdict in one sentence that quotes nothing of what was judged.
  std::string reason(const Verdict& verdict) const { return reason(verdict, policy()); }
  /// Keys of docs/formats/moderation.md and the policy's name.
  nlohmann::ordered_json verdict_json(const Verdict& verdict) const;
  // The same of verdicts under a policy that is not the service's.
  std::string reason(const Verdict& verdict, const Policy& policy) const;
  nlohmann::ordered_json verdict_json(const Verdict& verdict, const Policy& policy) const;

 private:
  const Guard guard_;
  mutable std::mutex policy_mutex_;
  Policy policy_;
  const Options options_;
  const std::time_t started_;
  Metrics metrics_;
  StreamStore streams_;
  PromptCache prompts_;
  std::atomic<bool> draining_ = false;
  std::mutex ready_mutex_;
  std::optional<std::chrono::steady_clock::time_point> ready_at_;
};

/// The stricter of two decisions; none is the least strict.
std::optional<Decision> stricter(std::optional<Decision> a, std::optional<Decision> b);

}  // namespace qwen3guard::server
