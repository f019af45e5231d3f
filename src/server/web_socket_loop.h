// What happens on a connection once it is a WebSocket. Includes Boost: for http_server.cpp alone.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "bytes/quote.h"
#include "server/http_server.h"
#include "server/web_socket.h"

namespace qwen3guard::server {

/// Reads messages one by one and writes the application's replies. Every wait has an end: for a
/// message the socket's patience, for a reply to be read HttpLimits::write.
template <typename Stream>
class WebSocketLoop {
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  using Error = boost::system::error_code;
  using Timer = boost::asio::steady_timer;

 public:
  /// All of it outlives the loop.
  WebSocketLoop(boost::asio::io_context& context, Stream& stream, const HttpLimits& limits,
                Application& application)
      : context_(context), limits_(limits), application_(application), web_socket_(stream) {}

  /// Answers the handshake with `response`, and talks until either side ends it.
  Awaitable<void> run(const Request& request, Response response) {
    namespace websocket = boost::beast::websocket;
    socket_ = std::move(response.web_socket);
    web_socket_.set_option(websocket::stream_base::timeout{
        kFarewell, websocket::stream_base::none(), /*keep_alive_pings=*/false});
    web_socket_.auto_fragment(false);
    web_socket_.set_option(
        websocket::stream_base::decorator([&](websocket::response_type& accepted) {
          accepted.set(boost::beast::http::field::server, "qwen3guard");
          for (const Header& header : response.headers) accepted.set(header.name, header.value);
        }));
    web_socket_.read_message_max(limits_.body_bytes);
    Error error;
    boost::beast::get_lowest_layer(web_socket_).expires_never();
    co_await web_socket_.async_accept(handshake(request), into(error));
    while (!error) {
      boost::beast::flat_buffer message;
      co_await read(message, error);
      if (error || leaving_) break;
      WebSocket::Reply reply = co_await ask(boost::beast::buffers_to_string(message.data()));
      boost::beast::get_lowest_layer(web_socket_).expires_after(limits_.write);
      co_await web_socket_.async_write(boost::asio::buffer(reply.text), into(error));
      boost::beast::get_lowest_layer(web_socket_).expires_never();
      if (error) break;
      if (reply.close) {
        co_await leave(*reply.close, std::move(reply.reason));
      } else if (stopping_) {
        co_await leave(CloseCode::kGoingAway, kStopping);
      }
      if (leaving_) break;
    }
  }

  /// The server stops: what is under way gets its reply, nothing more is read.
  void stop() {
    stopping_ = true;
    patience_.cancel();
  }

 private:
  static constexpr const char* kStopping = "the server stops";
  // How long a client may take to answer a close frame.
  static constexpr std::chrono::seconds kFarewell{2};

  static auto into(Error& error) {
    return boost::asio::redirect_error(boost::asio::use_awaitable, error);
  }

  static boost::beast::http::request<boost::beast::http::empty_body> handshake(
      const Request& request) {
    boost::beast::http::request<boost::beast::http::empty_body> head(boost::beast::http::verb::get,
                                                                     request.target, 11);
    for (const Header& header : request.headers) head.insert(header.name, header.value);
    return head;
  }

  // One text message, or an error where there is no other.
  Awaitable<void> read(boost::beast::flat_buffer& message, Error& error) {
    using namespace boost::asio::experimental::awaitable_operators;
    waiting_ = true;
    patience_.expires_after(stopping_ ? std::chrono::milliseconds(0) : socket_->patience());
    co_await (read_message(message, error) && leave_without_message());
    namespace websocket = boost::beast::websocket;
    if (!error && !leaving_ && web_socket_.got_binary()) {
      refuse(400, "unsupported", "a binary frame: messages are text");
      co_await leave(CloseCode::kUnknownData, "messages are text");
    } else if (error == websocket::error::message_too_big) {
      refuse(413, "too_long", "the message has more than " + bytes::byte_count(limits_.body_bytes));
    } else if (error == websocket::error::bad_frame_payload) {
      refuse(400, "invalid_utf8", "a text message that is not UTF-8");
    } else if (error == websocket::condition::protocol_violation) {
      refuse(400, "bad_websocket", "not the WebSocket protocol: " + error.message());
    }
  }

  Awaitable<void> read_message(boost::beast::flat_buffer& message, Error& error) {
    co_await web_socket_.async_read(message, into(error));
    waiting_ = false;
    patience_.cancel();
  }

  Awaitable<void> leave_without_message() {
    Error ignored;
    if (waiting_) co_await patience_.async_wait(into(ignored));
    if (!waiting_) co_return;
    co_await leave(CloseCode::kGoingAway, stopping_ ? kStopping : "no message came in time");
  }

  // Closes, in peace if the other side plays along.
  Awaitable<void> leave(CloseCode code, std::string reason) {
    using namespace boost::asio::experimental::awaitable_operators;
    leaving_ = true;
    Error ignored;
    Timer limit(context_, kFarewell);
    const boost::beast::websocket::close_reason why(
        static_cast<boost::beast::websocket::close_code>(code), reason);
    const auto done =
        co_await (web_socket_.async_close(why, into(ignored)) || limit.async_wait(into(ignored)));
    if (done.index() == 1) boost::beast::get_lowest_layer(web_socket_).close();
  }

  // Hands the message over and waits; other connections are served meanwhile.
  Awaitable<WebSocket::Reply> ask(std::string message) {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&,
                                       void(WebSocket::Reply)>(
        [this](auto handler, std::string taken) {
          auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
          auto work = boost::asio::make_work_guard(context_);
          socket_->take(std::move(taken), [this, waiting, work](WebSocket::Reply reply) {
            boost::asio::post(context_, [waiting, reply = std::move(reply)]() mutable {
              (*waiting)(std::move(reply));
            });
          });
        },
        boost::asio::use_awaitable, std::move(message));
  }

  // The close frame says the same to the client.
  void refuse(int status, const char* code, std::string message) {
    application_.refuse(status, code, std::move(message));
  }

  boost::asio::io_context& context_;
  const HttpLimits& limits_;
  Application& application_;
  std::shared_ptr<WebSocket> socket_;
  boost::beast::websocket::stream<Stream&, /*deflateSupported=*/false> web_socket_;
  Timer patience_{context_};
  bool waiting_ = false;   // for a message
  bool stopping_ = false;  // the server is
  bool leaving_ = false;   // a close frame is on its way
};

}  // namespace qwen3guard::server
