// Structured logs: one JSON object a line, in OpenTelemetry's names for attributes.
#pragma once

#include <functional>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <utility>

#include "server/http.h"

namespace qwen3guard::server {

/// Thread-safe. What requests and answers say stands in a log only where the operator asked for it.
class Log {
 public:
  /// Takes one line, with its newline; calls take turns. None: nothing is logged.
  using Sink = std::function<void(std::string_view line)>;

  Log(Sink sink, bool content) : sink_(std::move(sink)), content_(content) {}

  void request(const Request& request, std::string_view route, const Response& response,
               double seconds);
  /// A request that never became one.
  void refused(int status, std::string_view code, std::string_view message);
  void event(std::string_view name, std::string_view message);
  /// The same with more attributes, in place of a message.
  void report(std::string_view name, const nlohmann::ordered_json& attributes);

 private:
  void write(const nlohmann::ordered_json& line);

  const Sink sink_;
  const bool content_;
  std::mutex mutex_;
};

}  // namespace qwen3guard::server
