// The server: HTTP in front, routes behind, inference on workers between them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "qwen3guard/guard.h"
#include "server/api_keys.h"
#include "server/http_server.h"
#include "server/log.h"
#include "server/service.h"

namespace qwen3guard::server {

struct ServerOptions {
  std::string listen = "127.0.0.1:8080";
  HttpLimits http;
  Service::Options service;
  ApiKeys keys;
  /// Requests that are judged at a time. More than the processor has cores is worth it: those that
  /// wait share passes over the weights.
  std::size_t workers = 16;
  std::size_t queue = 256;  // requests that wait for a worker; one more is answered with 503
  Log::Sink log;            // none: nothing is logged
  bool log_content = false;
};

class Server {
 public:
  /// Loads nothing, listens at once. Errors: those of HttpServer::listen.
  static Result<std::unique_ptr<Server>> start(Guard guard, Policy policy, ServerOptions options);
  ~Server();

  std::uint16_t port() const;
  /// Serves on the calling thread until drained.
  void run();
  /// From any thread: what is under way is finished, nothing new is taken, run() returns.
  void drain();

 private:
  class Front;
  explicit Server(std::unique_ptr<Front> front);
  std::unique_ptr<Front> front_;
};

}  // namespace qwen3guard::server
