#include "server/metrics.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace qwen3guard::server {
namespace {

constexpr std::array<double, 14> kBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                             0.25,  0.5,    1,     2.5,  5,     10,   30};

std::string number(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

// Label values are names of our own, without quotes and backslashes.
std::string label(std::string_view name, std::string_view value) {
  return std::string(name) + "=\"" + std::string(value) + "\"";
}

class Page {
 public:
  explicit Page(const std::string& prefix) : prefix_(prefix) {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = prefix_ + "_" + std::string(name);
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
             std::string(type) + "\n";
  }
  void sample(std::string_view suffix, const std::string& labels, const std::string& value) {
    text_ += name_ + std::string(suffix) + (labels.empty() ? "" : "{" + labels + "}") + " " +
             value + "\n";
  }
  void counter(std::string_view name, std::string_view help,
               const std::map<std::string, std::uint64_t>& counts) {
    family(name, "counter", help);
    for (const auto& [labels, count] : counts) sample("", labels, std::to_string(count));
  }
  std::string take() { return std::move(text_); }

 private:
  const std::string& prefix_;
  std::string name_;
  std::string text_;
};

}  // namespace

void Metrics::request(std::string_view route, int status, double seconds) {
  const std::string by_route = label("route", route);
  const auto bucket = static_cast<std::size_t>(
      std::lower_bound(kBuckets.begin(), kBuckets.end(), seconds) - kBuckets.begin());
  const std::lock_guard lock(mutex_);
  ++requests_[by_route + "," + label("status", std::to_string(status))];
  Histogram& histogram = seconds_[by_route];
  histogram.buckets.resize(kBuckets.size() + 1);
  ++histogram.buckets[bucket];
  histogram.sum += seconds;
}

void Metrics::verdict(const Verdict& verdict) {
  const std::string labels =
      label("target", target_name(verdict.target)) + "," + label("risk", risk_name(verdict.risk)) +
      "," + label("category", verdict.category ? category_name(*verdict.category) : "None") + "," +
      label("decision", decision_name(verdict.decision));
  const std::lock_guard lock(mutex_);
  ++verdicts_[labels];
  tokens_ += verdict.tokens;
}

void Metrics::error(std::string_view code) {
  const std::lock_guard lock(mutex_);
  ++errors_[label("code", code)];
}

void Metrics::prompt_lookup(bool found) {
  const std::lock_guard lock(mutex_);
  ++prompt_lookups_[label("found", found ? "true" : "false")];
}

void Metrics::rate_limited(std::string_view limit) {
  const std::lock_guard lock(mutex_);
  ++errors_[label("code", "rate_limit_exceeded")];
  ++rate_limited_[label("limit", limit)];
}

void Metrics::count(const Counter& counter, std::string_view value, std::uint64_t amount) {
  const std::lock_guard lock(mutex_);
  others_[&counter][counter.label == nullptr ? "" : label(counter.label, value)] += amount;
}

std::string Metrics::render(const std::vector<Gauge>& gauges) const {
  const std::lock_guard lock(mutex_);
  Page page(prefix_);
  page.counter("requests_total", "Answered requests.", requests_);
  page.counter("errors_total", "Requests that got no verdict, by error code.", errors_);
  page.counter("verdicts_total", "Verdicts on prompts and responses.", verdicts_);
  page.counter("judged_tokens_total", "Tokens read for those verdicts.", {{"", tokens_}});
  page.counter("prompt_lookups_total",
               "Response checks that looked for their prompt by its call id.", prompt_lookups_);
  page.counter("rate_limited_total", "Requests beyond what their client may ask.", rate_limited_);
  for (const auto& [counter, counts] : others_) {
    page.counter(counter->name, counter->help, counts);
  }
  page.family("request_seconds", "histogram", "From the last byte of a request to its answer.");
  for (const auto& [labels, histogram] : seconds_) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < histogram.buckets.size(); ++i) {
      count += histogram.buckets[i];
      const std::string bound = i < kBuckets.size() ? number(kBuckets[i]) : "+Inf";
      page.sample("_bucket", labels + "," + label("le", bound), std::to_string(count));
    }
    page.sample("_sum", labels, number(histogram.sum));
    page.sample("_count", labels, std::to_string(count));
  }
  for (const Gauge& gauge : gauges) {
    page.family(gauge.name, "gauge", gauge.help);
    page.sample("", "", number(gauge.value));
  }
  return page.take();
}

}  // namespace qwen3guard::server
