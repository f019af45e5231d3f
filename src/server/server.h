// The server: HTTP in front, routes behind, inference on workers between them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/guard.h"
#include "server/api_keys.h"
#include "server/http_server.h"
#include "server/log.h"
#include "server/routes.h"
#include "server/service.h"
#include "server/worker_pool.h"

namespace qwen3guard::server {

/// Answers requests that the server's own routes do not.
class Fallback {
 public:
  virtual ~Fallback() = default;
  /// For logs and metrics: one of few names of our own.
  virtual std::string_view route(const Request& request) const = 0;
  /// On the thread of run(): must not block.
  virtual void handle(Request request, Respond respond) = 0;
  /// What it adds to the metrics. From any thread.
  virtual std::vector<Metrics::Gauge> gauges() const = 0;
  /// Reads its files anew, as far as it has any. From any thread.
  virtual void reload() {}
  /// The server ends: returns when no thread but the workers runs code of this object.
  virtual void stop() = 0;
};

/// What a fallback works with; all of it outlives the fallback.
struct ServerParts {
  Service& service;
  WorkerPool& workers;
  Log& log;
};

struct ServerOptions {
  std::string listen = "127.0.0.1:8080";
  HttpLimits http;
  TlsFiles tls;
  Service::Options service;
  ApiKeys keys;
  /// Requests that are judged at a time. More than the processor has cores is worth it: those that
  /// wait share passes over the weights.
  std::size_t workers = 16;
  std::size_t queue = 256;  // requests that wait for a worker; one more is answered with 503
  /// Of one client, where the model is asked: POST, and messages of WebSockets. One more is
  /// answered with 429. 0: no limit.
  std::size_t requests_per_minute = 0;
  Log::Sink log;  // none: nothing is logged
  bool log_content = false;
  std::span<const Route> routes = server::routes();
  /// Makes what answers all other requests; none: they get 404.
  std::function<Result<std::unique_ptr<Fallback>>(const ServerParts& parts)> fallback;
};

class Server {
 public:
  /// Loads nothing, listens at once. Errors: those of HttpServer::listen.
  static Result<std::unique_ptr<Server>> start(Guard guard, Policy policy, ServerOptions options);
  ~Server();

  std::uint16_t port() const;
  /// Serves on the calling thread until drained.
  void run();
  /// From any thread: what begins from now on is judged by it. An error keeps the old one, and is
  /// logged.
  void set_policy(Result<Policy> policy);
  /// From any thread: certificate, key and the fallback's files are read anew. An error keeps the
  /// old ones, and is logged.
  void reload();
  /// From any thread: what is under way is finished, nothing new is taken, run() returns.
  void drain();

 private:
  class Front;
  explicit Server(std::unique_ptr<Front> front);
  std::unique_ptr<Front> front_;
};

}  // namespace qwen3guard::server
