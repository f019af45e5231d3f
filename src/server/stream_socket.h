// A stream over a WebSocket.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/http.h"
#include "server/service.h"

namespace qwen3guard::server {

/// One connection is one stream: it is opened by the first message, and ends with the connection.
/// A message is the body of the request that would do the same over HTTP, a reply the body of its
/// answer.
class StreamSocket final : public WebSocket, public std::enable_shared_from_this<StreamSocket> {
 public:
  /// Has stream_message() handle a request.
  using Ask = std::function<void(Request request, Respond respond)>;

  /// `service` outlives the socket. Messages come from the client of `handshake`.
  StreamSocket(Service& service, const Request& handshake, Ask ask);
  ~StreamSocket() override;

  void take(std::string message, std::function<void(Reply)> reply) override;
  std::chrono::milliseconds patience() const override;

 private:
  Reply reply_to(Response response);

  Service& service_;
  const std::string request_id_;
  const std::string client_;
  const Ask ask_;
  std::string stream_;  // id; empty before the first message
};

}  // namespace qwen3guard::server
