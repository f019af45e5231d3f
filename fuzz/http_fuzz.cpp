// A request from its route on: "METHOD PATH", a newline, the body. Every one gets an answer that
// its caller can read, and an error never looks like a verdict. "last" in a path is the stream that
// was opened last.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "server/routes.h"
#include "server/service.h"

namespace {

using namespace qwen3guard;

void require(bool condition) {
  if (!condition) std::abort();
}

server::Service& service() {
  static server::Service instance = [] {
    auto guard = Guard::load(QG_FUZZ_MODEL, {.threads = 1});
    require(guard.ok());
    server::Service::Options options;
    options.streams.streams = 64;
    options.streams.text_bytes = 4096;
    options.prompts.entries = 64;
    return server::Service(*guard, Policy::strict(), options);
  }();
  return instance;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::string last_stream;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, line_end);
  const std::size_t space = std::min(line.find(' '), line.size());

  server::Request request;
  request.method = line.substr(0, space);
  request.path = line.substr(std::min(space + 1, line.size()));
  request.body = text.substr(std::min(line_end + 1, text.size()));
  auto match = server::find_route(request.method, request.path);
  if (match.route == nullptr) return 0;
  request.parameter = match.parameter == "last" ? last_stream : match.parameter;

  const server::Response response = server::answer(service(), *match.route, request);
  require(response.status == 200 || response.status == 201 ||
          (response.status >= 400 && response.status < 500) || response.status == 503);
  if (response.content_type != "application/json") return 0;
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  require(json.is_object());
  require(json.contains("error") == (response.status >= 400));
  if (response.status >= 400) {
    require(json.size() == 1 && json["error"]["message"].is_string() && !response.decision);
  }
  if (response.status == 201) last_stream = json["id"].get<std::string>();
  return 0;
}
