// Routes for whoever runs the server.
#include "base/try.h"
#include "server/handlers.h"

namespace qwen3guard::server {

Result<Response> health(Service&, const Request&) { return Response{.body = R"({"status":"ok"})"}; }

Result<Response> ready(Service& service, const Request&) {
  QG_CHECK_OK(service.check_ready());
  return Response{.body = R"({"status":"ready"})"};
}

Result<Response> metrics(Service& service, const Request&) {
  return Response{.body = service.render_metrics(),
                  .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace qwen3guard::server
