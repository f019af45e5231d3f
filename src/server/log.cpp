#include "server/log.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "formats/verdict_json.h"

namespace qwen3guard::server {
namespace {

using formats::OrderedJson;

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto fraction =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%FT%T", &utc);
  std::snprintf(text + size, sizeof text - size, ".%03dZ", static_cast<int>(fraction));
  return text;
}

OrderedJson entry(std::string_view level, std::string_view event) {
  return {{"timestamp", timestamp()}, {"level", level}, {"event", event}};
}

const char* level_of(int status) {
  return status >= 500 ? "error" : status >= 400 ? "warning" : "info";
}

}  // namespace

void Log::request(const Request& request, std::string_view route, const Response& response,
                  double seconds) {
  if (!sink_) return;
  OrderedJson line = entry(level_of(response.status), "request");
  line["request_id"] = request.id;
  if (!request.client.empty()) line["client"] = request.client;
  line["http.request.method"] = request.method;
  line["http.route"] = route;
  line["http.response.status_code"] = response.status;
  line["http.request.body.size"] = request.body.size();
  line["http.response.body.size"] = response.body.size();
  line["http.server.request.duration"] = seconds;
  if (response.decision) line["decision"] = decision_name(*response.decision);
  if (content_) {
    line["http.request.body"] = request.body;
    line["http.response.body"] = response.body;
  }
  write(line);
}

void Log::refused(int status, std::string_view code, std::string_view message) {
  if (!sink_) return;
  OrderedJson line = entry(level_of(status), "refused");
  line["http.response.status_code"] = status;
  line["code"] = code;
  line["message"] = message;
  write(line);
}

void Log::event(std::string_view name, std::string_view message) {
  if (!sink_) return;
  OrderedJson line = entry("info", name);
  line["message"] = message;
  write(line);
}

void Log::report(std::string_view name, const OrderedJson& attributes) {
  if (!sink_) return;
  OrderedJson line = entry("info", name);
  line.update(attributes);
  write(line);
}

void Log::write(const OrderedJson& line) {
  const std::string text = formats::to_line(line) + "\n";
  const std::lock_guard lock(mutex_);
  sink_(text);
}

}  // namespace qwen3guard::server
