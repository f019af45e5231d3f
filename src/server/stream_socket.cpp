#include "server/stream_socket.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "server/errors.h"
#include "server/handlers.h"

namespace qwen3guard::server {
namespace {

// Whether a comma-separated header has this word.
bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    const std::size_t first = item.find_first_not_of(" \t");
    if (first == item.npos) continue;
    item = item.substr(first, item.find_last_not_of(" \t") + 1 - first);
    if (same_name(item, word)) return true;
  }
  return false;
}

// Browsers let every page on the net open a WebSocket, and read it: pages of others are refused.
bool from_own_page(const Request& request) {
  const std::string_view origin = request.header("origin");
  const std::size_t scheme = origin.find("://");
  return origin.empty() ||
         (scheme != origin.npos && same_name(origin.substr(scheme + 3), request.header("host")));
}

Response upgrade_required() {
  Response response = error_response(
      426, "upgrade_required",
      "this path takes WebSocket handshakes, version 13; plain requests open streams by POST");
  response.headers = {
      {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}};
  return response;
}

}  // namespace

Result<Response> stream_handshake(Service& service, const Request& request) {
  const bool handshake =
      request.method == "GET" && has_word(request.header("upgrade"), "websocket") &&
      has_word(request.header("connection"), "upgrade") &&
      request.header("sec-websocket-version") == "13" &&
      !request.header("sec-websocket-key").empty() && !request.header("host").empty();
  if (!handshake) return upgrade_required();
  if (!from_own_page(request)) {
    return error_response(403, "foreign_origin",
                          "a page of another origin may not open streams here");
  }
  if (service.guard().mode() != Mode::kStream) {
    return Error{ErrorCode::kUnsupported, "streams need a Stream model; this one is a Gen model"};
  }
  Response switching;
  switching.status = 101;
  return switching;
}

StreamSocket::StreamSocket(Service& service, const Request& handshake, Ask ask)
    : service_(service),
      request_id_(handshake.id),
      client_(handshake.client),
      ask_(std::move(ask)) {}

StreamSocket::~StreamSocket() {
  if (stream_.empty()) return;
  const Status ignored = service_.streams().remove(stream_, client_);
  static_cast<void>(ignored);  // it may have ended before
}

std::chrono::milliseconds StreamSocket::patience() const {
  return service_.streams().limits().time_to_live;
}

void StreamSocket::take(std::string message, std::function<void(Reply)> reply) {
  Request request;
  request.method = "POST";
  request.body = std::move(message);
  request.id = request_id_;
  request.client = client_;
  request.parameter = stream_;
  ask_(std::move(request), [self = shared_from_this(), reply = std::move(reply)](
                               Response response) { reply(self->reply_to(std::move(response))); });
}

WebSocket::Reply StreamSocket::reply_to(Response response) {
  if (response.status == 201) {
    stream_ = find_header(response.headers, "location").substr(kStreamPath.size());
  }
  Reply reply{std::move(response.body)};
  if (!stream_.empty() && !service_.streams().has(stream_, client_)) {
    const bool failed = response.status >= 400;
    reply.close = failed ? CloseCode::kInternalError : CloseCode::kNormal;
    reply.reason = failed ? "the stream is closed: treat its response as not safe" : "";
  }
  return reply;
}

}  // namespace qwen3guard::server
