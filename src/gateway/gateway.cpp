#include "gateway/gateway.h"

#include <span>
#include <utility>
#include <vector>

#include "base/try.h"
#include "bytes/quote.h"
#include "gateway/chat_request.h"
#include "gateway/exchange.h"
#include "server/errors.h"

namespace qwen3guard::gateway {
namespace {

class GatewayFallback final : public server::Fallback {
 public:
  explicit GatewayFallback(std::shared_ptr<Gateway> gateway) : gateway_(std::move(gateway)) {}

  std::string_view route(const server::Request& request) const override {
    const auto path = canonical_path(request.path);
    return path && is_chat_path(*path) ? "/v1/chat/completions" : "upstream";
  }

  void handle(server::Request request, server::Respond respond) override {
    const auto path = canonical_path(request.path);
    if (!path) {
      return respond(server::error_response(400, "invalid_argument",
                                            "the path has . or .. or a broken %-code in it"));
    }
    if (is_chat_path(*path)) {
      if (request.method == "POST") {
        return guard_chat(gateway_, std::move(request), *path, std::move(respond));
      }
      if (request.method != "OPTIONS") {
        server::Response response =
            server::error_response(405, "method_not_allowed", "this path takes POST");
        response.headers.push_back({"Allow", "POST"});
        return respond(std::move(response));
      }
    }
    if (!gateway_->options.pass_through) {
      return respond(server::error_response(
          404, "no_route", "only chat completions pass here; docs/gateway.md has the routes"));
    }
    pass_through(gateway_, request, path->empty() ? "/" : *path, std::move(respond));
  }

  std::vector<server::Metrics::Gauge> gauges() const override {
    return {
        {"gateway_streams", "Guarded answers under way.", static_cast<double>(gateway_->guarded)},
        {"gateway_held_bytes", "Text of streams that waits for a verdict.",
         static_cast<double>(gateway_->held)}};
  }

  // Requests under way keep the rules that they have.
  void reload() override {
    const std::string& file = gateway_->options.rules_file;
    if (file.empty()) return;
    auto rules = Rules::load(file);
    if (!rules.ok()) return gateway_->parts.log.event("rules_kept", rules.error().message);
    gateway_->set_rules(std::make_shared<const Rules>(std::move(rules).value()));
    gateway_->parts.log.event("rules_loaded", file);
  }

  void stop() override { gateway_->upstream->stop(); }

 private:
  const std::shared_ptr<Gateway> gateway_;
};

// Those of whoever runs it, and with them the page.
std::span<const server::Route> board_routes() {
  static const std::vector<server::Route> all = [] {
    std::vector<server::Route> routes(server::status_routes().begin(),
                                      server::status_routes().end());
    for (const server::Route& route : server::routes()) {
      if (route.path == "/" || route.path.starts_with("/assets/")) routes.push_back(route);
    }
    return routes;
  }();
  return all;
}

}  // namespace

Result<std::unique_ptr<server::Server>> start_gateway(Guard guard, Policy policy,
                                                      GatewayOptions options) {
  if (guard.mode() != Mode::kStream) {
    return Error{ErrorCode::kUnsupported,
                 "the gateway judges answers token by token, which a Gen model cannot; give a "
                 "Stream model"};
  }
  std::shared_ptr<const Rules> rules;
  if (!options.rules_file.empty()) {
    QG_TRY(Rules loaded, Rules::load(options.rules_file));
    rules = std::make_shared<const Rules>(std::move(loaded));
  }
  server::ServerOptions server = std::move(options.server);
  server.routes = options.page ? board_routes() : server::status_routes();
  // A guarded answer has one job at a time: its next one always finds room.
  server.queue = std::max(server.queue, 2 * options.streams);
  server.fallback =
      [&options,
       &rules](const server::ServerParts& parts) -> Result<std::unique_ptr<server::Fallback>> {
    QG_TRY(auto upstream, Upstream::create(options.upstream, options.limits));
    auto gateway = std::make_shared<Gateway>(std::move(options), parts, std::move(upstream));
    gateway->set_rules(std::move(rules));
    return std::unique_ptr<server::Fallback>(std::make_unique<GatewayFallback>(std::move(gateway)));
  };
  return server::Server::start(std::move(guard), std::move(policy), std::move(server));
}

}  // namespace qwen3guard::gateway
