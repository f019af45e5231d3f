// Which request goes where.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/http.h"
#include "server/service.h"

namespace qwen3guard::server {

struct Route {
  using Handler = Result<Response> (*)(Service& service, const Request& request);

  std::string_view method;
  std::string_view path;  // one part may be {id}
  Handler handler;
  bool inference = true;  // runs the model: belongs on a worker
  bool open = false;      // needs no API key
};

/// All of them, as docs/server.md lists them.
std::span<const Route> routes();
/// For messages of a WebSocket that GET /v1/streams opened; no request reaches it.
extern const Route kStreamMessage;
/// Those for whoever runs the process: health, readiness, metrics.
std::span<const Route> status_routes();

struct RouteMatch {
  const Route* route = nullptr;  // none: see `allowed`
  std::string parameter;         // what stood in the place of {id}
  std::string allowed;           // methods that this path has, as for "Allow"; empty: no such path
};
RouteMatch find_route(std::string_view method, std::string_view path,
                      std::span<const Route> table = routes());

/// Runs the handler. What goes wrong, exhausted memory included, becomes an error answer and is
/// counted: there is no way from here to a verdict that nobody reached.
Response answer(Service& service, const Route& route, const Request& request);

}  // namespace qwen3guard::server
