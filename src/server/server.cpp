#include "server/server.h"

#include <chrono>
#include <utility>

#include "base/try.h"
#include "server/errors.h"
#include "server/rate_limiter.h"
#include "server/request_id.h"
#include "server/routes.h"
#include "server/stream_socket.h"
#include "server/worker_pool.h"

namespace qwen3guard::server {

class Server::Front final : public Application {
 public:
  Front(Guard guard, Policy policy, ServerOptions options)
      : keys_(std::move(options.keys)),
        log_(std::move(options.log), options.log_content),
        rate_(options.requests_per_minute, options.service.clock),
        service_(std::move(guard), std::move(policy), with_gauges(std::move(options.service))),
        routes_(options.routes) {}
  ~Front() override {
    if (fallback_) fallback_->stop();
  }

  Status listen(const ServerOptions& options) {
    QG_TRY(http_, HttpServer::listen(options.listen, options.http, options.tls, *this));
    // Jobs hold answers that the HTTP server waits for: workers end before it does.
    workers_ = std::make_unique<WorkerPool>(options.workers, options.queue);
    if (options.fallback) {
      QG_TRY(fallback_, options.fallback({service_, *workers_, log_}));
    }
    return {};
  }

  void handle(Request request, Respond respond) override {
    auto exchange = std::make_shared<Exchange>();
    exchange->respond = std::move(respond);
    exchange->request = std::move(request);
    exchange->request.id = request_id(exchange->request.header("x-request-id"));

    RouteMatch match = find_route(exchange->request.method, exchange->request.path, routes_);
    const bool falls_back = match.route == nullptr && match.allowed.empty() && fallback_ != nullptr;
    if (match.route != nullptr) exchange->route = match.route->path;
    if (falls_back) exchange->route = fallback_->route(exchange->request);
    const bool open = match.route != nullptr && match.route->open;
    auto client = keys_.client(exchange->request);
    if (!client && !open) return finish(*exchange, unauthorized());
    exchange->request.client = std::move(client).value_or("");
    if (falls_back) {
      if (may_ask(*exchange)) fall_back(exchange);
      return;
    }
    if (match.route == nullptr) return finish(*exchange, no_route(match));
    exchange->request.parameter = std::move(match.parameter);

    run_handler(exchange, *match.route);
  }

  Response refuse(int status, std::string_view code, std::string message) override {
    service_.metrics().error(code);
    log_.refused(status, code, message);
    return error_response(status, code, message);
  }

  std::uint16_t port() const { return http_->port(); }

  void run() {
    log_.event("started", "listening on port " + std::to_string(port()));
    http_->run();
    log_.event("stopped", "no connection is left, or the time for draining is over");
  }

  void set_policy(Result<Policy> policy) {
    if (!policy.ok()) return log_.event("policy_kept", policy.error().message);
    log_.event("policy_loaded", policy->name());
    service_.set_policy(std::move(policy).value());
  }

  void reload() {
    if (const Status tls = http_->reload_tls(); !tls.ok())
      log_.event("certificate_kept", tls.error().message);
    if (fallback_) fallback_->reload();
  }

  void drain() {
    service_.start_draining();
    log_.event("draining", "finishing what is under way");
    http_->drain();
  }

 private:
  struct Exchange {
    Request request;
    Respond respond;
    std::string_view route = "none";
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  };

  // For a request whose client is known.
  void run_handler(const std::shared_ptr<Exchange>& exchange, const Route& route) {
    exchange->route = route.path;
    const auto job = [this, exchange, &route] {
      Response response = answer(service_, route, exchange->request);
      if (response.status == 101) response.web_socket = stream_socket(exchange->request);
      finish(*exchange, std::move(response));
    };
    if (!route.inference) return job();
    if (!route.open && !may_ask(*exchange)) return;
    if (!workers_->submit(job)) {
      service_.metrics().error("overloaded");
      finish(*exchange,
             error_response(503, "overloaded", "as many requests wait as may; try again later"));
    }
  }

  // False where the client's requests are used up; the exchange has its answer then.
  bool may_ask(Exchange& exchange) {
    const auto wait = rate_.take(exchange.request.client);
    if (!wait) return true;
    service_.metrics().rate_limited("requests");
    finish(exchange, rate_limited(*wait, "this API key may not send more requests in a minute"));
    return false;
  }

  std::shared_ptr<WebSocket> stream_socket(const Request& handshake) {
    return std::make_shared<StreamSocket>(service_, handshake,
                                          [this](Request message, Respond respond) {
                                            auto exchange = std::make_shared<Exchange>();
                                            exchange->request = std::move(message);
                                            exchange->respond = std::move(respond);
                                            run_handler(exchange, kStreamMessage);
                                          });
  }

  void fall_back(const std::shared_ptr<Exchange>& exchange) {
    fallback_->handle(exchange->request, [this, exchange](Response response) {
      finish(*exchange, std::move(response));
    });
  }

  Service::Options with_gauges(Service::Options options) {
    options.gauges = [this] {
      auto gauges = fallback_ ? fallback_->gauges() : std::vector<Metrics::Gauge>();
      const std::initializer_list<Metrics::Gauge> own = {
          {"connections", "Open connections.", static_cast<double>(http_->connections())},
          {"queued_requests", "Requests that wait for a worker.",
           static_cast<double>(workers_->waiting())}};
      gauges.insert(gauges.end(), own);
      return gauges;
    };
    return options;
  }

  Response unauthorized() {
    service_.metrics().error("unauthorized");
    Response response = error_response(
        401, "unauthorized", "an API key is needed: Authorization: Bearer KEY, or x-api-key: KEY");
    response.headers.push_back({"WWW-Authenticate", "Bearer"});
    return response;
  }

  Response no_route(const RouteMatch& match) {
    if (match.allowed.empty()) {
      service_.metrics().error("no_route");
      return error_response(404, "no_route",
                            "there is nothing here; docs/server.md has the routes");
    }
    service_.metrics().error("method_not_allowed");
    Response response = error_response(405, "method_not_allowed",
                                       "this path takes another method: " + match.allowed);
    response.headers.push_back({"Allow", match.allowed});
    return response;
  }

  void finish(Exchange& exchange, Response response) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - exchange.began;
    response.headers.push_back({"X-Request-Id", exchange.request.id});
    service_.metrics().request(exchange.route, response.status, took.count());
    log_.request(exchange.request, exchange.route, response, took.count());
    exchange.respond(std::move(response));
  }

  const ApiKeys keys_;
  Log log_;
  RateLimiter rate_;
  Service service_;
  std::unique_ptr<HttpServer> http_;
  const std::span<const Route> routes_;
  // Workers run jobs of the fallback's: they end before it does.
  std::unique_ptr<Fallback> fallback_;
  std::unique_ptr<WorkerPool> workers_;
};

Server::Server(std::unique_ptr<Front> front) : front_(std::move(front)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(Guard guard, Policy policy, ServerOptions options) {
  auto front = std::make_unique<Front>(std::move(guard), std::move(policy), options);
  QG_CHECK_OK(front->listen(options));
  return std::unique_ptr<Server>(new Server(std::move(front)));
}

std::uint16_t Server::port() const { return front_->port(); }
void Server::run() { front_->run(); }
void Server::reload() { front_->reload(); }
void Server::drain() { front_->drain(); }
void Server::set_policy(Result<Policy> policy) { front_->set_policy(std::move(policy)); }

}  // namespace qwen3guard::server
