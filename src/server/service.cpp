#include "server/service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "formats/verdict_json.h"

namespace qwen3guard::server {

Service::Service(Guard guard, Policy policy, Options options)
    : guard_(std::move(guard)),
      policy_(std::move(policy)),
      options_(std::move(options)),
      started_(std::time(nullptr)),
      metrics_(options_.metrics_prefix),
      streams_(options_.streams, options_.clock),
      prompts_(options_.prompts, options_.clock) {}

Policy Service::policy() const {
  const std::lock_guard lock(policy_mutex_);
  return policy_;
}

void Service::set_policy(Policy policy) {
  const std::lock_guard lock(policy_mutex_);
  policy_ = std::move(policy);
}

Result<Verdict> Service::moderate(const Conversation& conversation) {
  auto verdict = guard_.moderate(conversation, policy());
  if (verdict.ok()) metrics_.verdict(*verdict);
  return verdict;
}

Status Service::check_ready() {
  if (draining_) return Error{ErrorCode::kOverloaded, "the server is shutting down"};
  const std::lock_guard lock(ready_mutex_);
  const auto now = options_.clock();
  if (ready_at_ && now - *ready_at_ < std::chrono::seconds(1)) return {};
  ready_at_.reset();
  const auto verdict = guard_.moderate({{Role::kUser, "Hello"}}, policy());
  if (!verdict.ok()) return verdict.error();
  ready_at_ = now;
  return {};
}

std::string Service::render_metrics() {
  auto gauges = options_.gauges ? options_.gauges() : std::vector<Metrics::Gauge>();
  gauges.push_back({"streams", "Open streams.", static_cast<double>(streams_.size())});
  gauges.push_back({"remembered_prompts", "Prompts kept for the check of their response.",
                    static_cast<double>(prompts_.size())});
  return metrics_.render(gauges);
}

std::string Service::reason(const Verdict& verdict, const Policy& policy) const {
  std::string reason = "the " + std::string(target_name(verdict.target)) + " is " +
                       std::string(risk_name(verdict.risk));
  if (verdict.category) {
    reason += ": " + guard_.category_label(verdict.target, *verdict.category);
  }
  return reason + " (policy " + policy.name() + ")";
}

nlohmann::ordered_json Service::verdict_json(const Verdict& verdict) const {
  return verdict_json(verdict, policy());
}

nlohmann::ordered_json Service::verdict_json(const Verdict& verdict, const Policy& policy) const {
  nlohmann::ordered_json json;
  formats::add_verdict(guard_, verdict, json);
  json["policy"] = policy.name();
  return json;
}

std::optional<Decision> stricter(std::optional<Decision> a, std::optional<Decision> b) {
  return std::max(a, b);
}

}  // namespace qwen3guard::server
