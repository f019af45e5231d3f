// The gateway: an OpenAI-compatible reverse proxy that judges what it passes on.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "gateway/answer_options.h"
#include "gateway/upstream.h"
#include "qwen3guard/guard.h"
#include "server/server.h"

namespace qwen3guard::gateway {

struct GatewayOptions {
  UpstreamUrl upstream;
  UpstreamLimits limits;
  AnswerOptions guard;
  /// Policies, modes and actions by request, in place of those above; empty: none.
  std::string rules_file;
  /// The prompt is judged before the upstream hears of it, not meanwhile.
  bool prompt_first = false;
  /// Requests for other paths are forwarded, too, unjudged.
  bool pass_through = true;
  /// The page with the live board stands at "/", in place of what the upstream has there.
  bool page = false;
  /// Sent to the upstream in place of the client's Authorization; empty: that one goes on, unless
  /// the gateway's own keys are asked for.
  std::string upstream_key;
  std::size_t streams = 1024;          // guarded answers under way; one more is answered with 503
  std::size_t choices = 16;            // of one request
  std::size_t plain_bytes = 8u << 20;  // of an answer that is no stream
  std::size_t buffered_bytes = 64u << 10;  // for a client that reads slowly
  server::ServerOptions server;
};

/// Listens at once. Errors: those of Server::start, Upstream::create and Rules::load; kUnsupported
/// for a Gen model, which cannot judge token by token.
Result<std::unique_ptr<server::Server>> start_gateway(Guard guard, Policy policy,
                                                      GatewayOptions options);

}  // namespace qwen3guard::gateway
