#include "server/routes.h"

#include <algorithm>
#include <array>
#include <exception>

#include "server/errors.h"
#include "server/handlers.h"

namespace qwen3guard::server {
namespace {

constexpr std::array kRoutes = {
    Route{"POST", "/v1/moderations", moderations},
    Route{"POST", "/v1/chat/completions", chat_completions},
    Route{"POST", "/v1/classify", classify},
    Route{"POST", "/beta/litellm_basic_guardrail_api", litellm_guardrail},
    Route{"POST", "/request", webhook_request},
    Route{"POST", "/response", webhook_response},
    Route{"POST", "/v1/streams", open_stream},
    Route{.method = "GET", .path = "/v1/streams", .handler = stream_handshake, .inference = false},
    Route{"POST", "/v1/streams/{id}/append", append_to_stream},
    Route{"POST", "/v1/streams/{id}/turns", next_turn_of_stream},
    Route{.method = "DELETE",
          .path = "/v1/streams/{id}",
          .handler = close_stream,
          .inference = false},
    Route{.method = "GET", .path = "/v1/models", .handler = models, .inference = false},
    Route{.method = "GET", .path = "/", .handler = page, .inference = false, .open = true},
    Route{.method = "GET",
          .path = "/assets/{id}",
          .handler = page_asset,
          .inference = false,
          .open = true},
    // status_routes(): the last three.
    Route{.method = "GET", .path = "/health", .handler = health, .inference = false, .open = true},
    Route{.method = "GET", .path = "/ready", .handler = ready, .open = true},
    Route{.method = "GET", .path = "/metrics", .handler = metrics, .inference = false},
};

constexpr std::string_view kParameter = "{id}";

// Whether the path has the pattern's shape; what stands for {id} goes to `parameter`.
bool matches(std::string_view pattern, std::string_view path, std::string& parameter) {
  const std::size_t at = pattern.find(kParameter);
  if (at == pattern.npos) return pattern == path;
  const std::string_view before = pattern.substr(0, at);
  const std::string_view after = pattern.substr(at + kParameter.size());
  if (!path.starts_with(before) || !path.ends_with(after)) return false;
  if (path.size() <= before.size() + after.size()) return false;
  const auto middle = path.substr(at, path.size() - before.size() - after.size());
  if (middle.find('/') != middle.npos) return false;
  parameter = middle;
  return true;
}

}  // namespace

const Route kStreamMessage{"", "/v1/streams message", stream_message};
std::span<const Route> routes() { return kRoutes; }
std::span<const Route> status_routes() { return routes().last(3); }

RouteMatch find_route(std::string_view method, std::string_view path,
                      std::span<const Route> table) {
  RouteMatch match;
  for (const Route& route : table) {
    if (!matches(route.path, path, match.parameter)) continue;
    // Who asks for the HEAD of an answer gets what GET would give; HttpServer leaves the body out.
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      match.route = &route;
      return match;
    }
    match.allowed += (match.allowed.empty() ? "" : ", ") + std::string(route.method);
    if (route.method == "GET") match.allowed += ", HEAD";
  }
  return match;
}

Response answer(Service& service, const Route& route, const Request& request) {
  const auto run = [&]() -> Result<Response> {
    try {
      return route.handler(service, request);
    } catch (const std::exception&) {
      return Error{ErrorCode::kIo, "the server ran out of memory for this request"};
    }
  };
  Result<Response> result = run();
  if (result.ok()) return std::move(result).value();
  service.metrics().error(error_code_name(result.error().code));
  return error_response(result.error());
}

}  // namespace qwen3guard::server
