#include "gateway/exchange.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/errors.h"

namespace qwen3guard::gateway {
namespace {

using server::Header;
using server::same_name;

// Headers that speak of one connection only, and those that the next one writes anew.
bool is_hop_by_hop(std::string_view name, std::string_view connection) {
  static constexpr std::array<std::string_view, 11> kNames = {"connection",
                                                              "keep-alive",
                                                              "proxy-connection",
                                                              "proxy-authenticate",
                                                              "te",
                                                              "proxy-authorization",
                                                              "trailer",
                                                              "transfer-encoding",
                                                              "upgrade",
                                                              "content-length",
                                                              "host"};
  for (const std::string_view known : kNames) {
    if (same_name(name, known)) return true;
  }
  while (!connection.empty()) {
    const std::size_t comma = std::min(connection.find(','), connection.size());
    std::string_view named = connection.substr(0, comma);
    connection.remove_prefix(std::min(comma + 1, connection.size()));
    while (named.starts_with(' ')) named.remove_prefix(1);
    while (named.ends_with(' ')) named.remove_suffix(1);
    if (same_name(name, named)) return true;
  }
  return false;
}

// Reads on when the client has taken most of what is there.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(std::shared_ptr<Gateway> gateway, std::shared_ptr<UpstreamCall> call,
        std::function<void(const Status&)> done)
      : gateway_(std::move(gateway)), call_(std::move(call)), done_(std::move(done)) {}
  ~Relay() { body_->abort(); }  // unless it has ended

  const std::shared_ptr<server::BodyStream>& body() const { return body_; }
  void next() {
    call_->read([self = shared_from_this()](Result<std::string> bytes) {
      if (!bytes.ok()) return self->done_(bytes.error());
      if (bytes->empty()) {
        self->done_({});
        return self->body_->end();
      }
      self->body_->write(*bytes);
      self->body_->when_below(self->gateway_->options.buffered_bytes, [self] { self->next(); });
    });
  }

 private:
  const std::shared_ptr<Gateway> gateway_;
  const std::shared_ptr<UpstreamCall> call_;
  const std::shared_ptr<server::BodyStream> body_ = std::make_shared<server::BodyStream>();
  const std::function<void(const Status&)> done_;
};

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "complete",        "recovered",        "flagged",        "prompt_blocked",
      "refused",         "overloaded",       "guard_failed",   "failed_open",
      "upstream_failed", "upstream_timeout", "upstream_error", "client_gone"};
  return kNames[static_cast<std::size_t>(outcome)];
}

UpstreamRequest Gateway::forwarded(const server::Request& request, const std::string& path) const {
  const std::size_t query = request.target.find_first_of("?#");
  UpstreamRequest result{request.method,
                         path + (query == std::string::npos ? "" : request.target.substr(query)),
                         {},
                         request.body};
  const std::string_view connection = request.header("connection");
  const bool own_key = !request.client.empty() || !options.upstream_key.empty();
  for (const Header& header : request.headers) {
    if (is_hop_by_hop(header.name, connection) || same_name(header.name, "accept-encoding") ||
        same_name(header.name, "expect") || same_name(header.name, "x-request-id")) {
      continue;
    }
    const bool key = same_name(header.name, "authorization") || same_name(header.name, "x-api-key");
    if (key && own_key) continue;
    result.headers.push_back(header);
  }
  // What is compressed could not be judged.
  result.headers.push_back({"Accept-Encoding", "identity"});
  result.headers.push_back({"X-Request-Id", request.id});
  if (!options.upstream_key.empty()) {
    result.headers.push_back({"Authorization", "Bearer " + options.upstream_key});
  }
  return result;
}

server::Response response_from(const UpstreamHead& head) {
  server::Response response;
  response.status = head.status;
  response.content_type.clear();
  const std::string_view connection = head.header("connection");
  for (const Header& header : head.headers) {
    if (is_hop_by_hop(header.name, connection) || same_name(header.name, "x-request-id")) continue;
    response.headers.push_back(header);
  }
  return response;
}

server::Response upstream_failure(const Error& error) {
  return error.code == ErrorCode::kTimeout
             ? server::error_response(504, "upstream_timeout", error.message)
             : server::error_response(502, "upstream_failed", error.message);
}

Answering::~Answering() {
  (*this)(server::error_response(503, "given_up", "the request was given up"));
}

void Answering::operator()(server::Response response) {
  if (!answered_.exchange(true)) respond_(std::move(response));
}

void relay(std::shared_ptr<Gateway> gateway, std::shared_ptr<UpstreamCall> call,
           server::Response head, const server::Respond& respond,
           std::function<void(const Status&)> done) {
  const auto running =
      std::make_shared<Relay>(std::move(gateway), std::move(call), std::move(done));
  head.stream = running->body();
  respond(std::move(head));
  running->next();
}

void pass_through(const std::shared_ptr<Gateway>& gateway, const server::Request& request,
                  const std::string& path, server::Respond respond) {
  const auto answer = std::make_shared<Answering>(std::move(respond));
  auto head = [gateway, answer, head_only = request.method == "HEAD"](
                  std::shared_ptr<UpstreamCall> call, Result<UpstreamHead> result) {
    if (!result.ok()) {
      gateway->parts.service.metrics().error("upstream_failed");
      return (*answer)(upstream_failure(result.error()));
    }
    const auto give = [answer](server::Response response) { (*answer)(std::move(response)); };
    if (head_only || result->status == 204 || result->status == 304) {
      return give(response_from(*result));
    }
    relay(gateway, std::move(call), response_from(*result), give, [](const Status&) {});
  };
  const auto call = gateway->upstream->start(gateway->forwarded(request, path), std::move(head));
  if (request.departure) {
    request.departure->watch([weak = std::weak_ptr(call)] {
      if (const auto alive = weak.lock()) alive->cancel();
    });
  }
}

}  // namespace qwen3guard::gateway
