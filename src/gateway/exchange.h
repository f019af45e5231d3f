// What requests on their way through the gateway share, and the two ways through.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/gateway.h"
#include "gateway/rules.h"
#include "gateway/upstream.h"
#include "server/server.h"

namespace qwen3guard::gateway {

/// How guarded requests end, for logs and metrics.
enum class Outcome {
  kComplete,
  kRecovered,        // the same, after what was flagged had been written anew
  kFlagged,          // the answer was stopped or replaced
  kPromptBlocked,    // the prompt was
  kRefused,          // a request that cannot be judged
  kOverloaded,       // as many are under way as may be
  kGuardFailed,      // the answer could not be judged: nothing unjudged was sent
  kFailedOpen,       // the same, and it passed
  kUpstreamFailed,   // connection refused or broken, garbage
  kUpstreamTimeout,  // nothing came in time
  kUpstreamError,    // it answered with an error, which was passed on
  kClientGone,
};
std::string_view outcome_name(Outcome outcome);

struct Gateway {
  Gateway(GatewayOptions gateway_options, server::ServerParts server_parts,
          std::unique_ptr<Upstream> client)
      : options(std::move(gateway_options)), parts(server_parts), upstream(std::move(client)) {}

  const GatewayOptions options;
  const server::ServerParts parts;
  std::atomic<std::size_t> guarded = 0;  // under way
  std::atomic<std::size_t> held = 0;     // bytes of streams that wait for a verdict
  const std::unique_ptr<Upstream> upstream;

  /// The request as the upstream gets it; `path` replaces what stands before the query.
  UpstreamRequest forwarded(const server::Request& request, const std::string& path) const;

  /// Those for what begins now; null without any.
  std::shared_ptr<const Rules> rules() const {
    const std::lock_guard lock(rules_mutex_);
    return rules_;
  }
  void set_rules(std::shared_ptr<const Rules> rules) {
    const std::lock_guard lock(rules_mutex_);
    rules_ = std::move(rules);
  }

 private:
  mutable std::mutex rules_mutex_;
  std::shared_ptr<const Rules> rules_;
};

/// Somebody who waits for an answer gets exactly one, and be it that nobody is left to give it.
class Answering {
 public:
  explicit Answering(server::Respond respond) : respond_(std::move(respond)) {}
  ~Answering();
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;
  /// The first one counts.
  void operator()(server::Response response);

 private:
  server::Respond respond_;
  std::atomic<bool> answered_ = false;
};

/// The head of an answer as the client gets it; the body is still to come.
server::Response response_from(const UpstreamHead& head);
/// An answer in place of the upstream's.
server::Response upstream_failure(const Error& error);

/// Answers with `head` and a body that is passed on as it comes; `done` hears at the end whether it
/// came whole, and never before the answer is given.
void relay(std::shared_ptr<Gateway> gateway, std::shared_ptr<UpstreamCall> call,
           server::Response head, const server::Respond& respond,
           std::function<void(const Status&)> done);

/// Forwards a request that is not judged.
void pass_through(const std::shared_ptr<Gateway>& gateway, const server::Request& request,
                  const std::string& path, server::Respond respond);

/// Forwards a request for a chat completion and guards its answer.
void guard_chat(const std::shared_ptr<Gateway>& gateway, server::Request request,
                const std::string& path, server::Respond respond);

}  // namespace qwen3guard::gateway
