// The bytes of a connection, in the clear or within TLS. Includes Boost: for http_server.cpp alone.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#ifdef QG_TLS
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#endif

namespace qwen3guard::server {

#ifdef QG_TLS
using TlsContext = boost::asio::ssl::context;
#else
struct TlsContext {};
#endif

/// One type for both, so that what reads and writes messages is compiled once. Time-outs and
/// closing are those of beast::tcp_stream.
class Transport {
  using Error = boost::system::error_code;

 public:
  using executor_type = boost::beast::tcp_stream::executor_type;

  /// In the clear without `tls`; with it nothing but handshake() may come first.
  Transport(boost::asio::ip::tcp::socket socket, const std::shared_ptr<TlsContext>& tls)
      : tcp_(std::move(socket)) {
#ifdef QG_TLS
    if (tls) tls_.emplace(tcp_, *tls);
#else
    (void)tls;
#endif
  }

  executor_type get_executor() { return tcp_.get_executor(); }
  boost::asio::ip::tcp::socket& socket() { return tcp_.socket(); }
  /// Below TLS.
  boost::beast::tcp_stream& tcp() { return tcp_; }

  void expires_after(std::chrono::milliseconds time) { tcp_.expires_after(time); }
  void expires_never() { tcp_.expires_never(); }
  void cancel() { tcp_.cancel(); }
  void close() { tcp_.close(); }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(Error, std::size_t)>(
        [this](auto handler, const Buffers& into) {
          with_stream([&](auto& stream) { stream.async_read_some(into, std::move(handler)); });
        },
        token, buffers);
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(Error, std::size_t)>(
        [this](auto handler, const Buffers& from) {
          with_stream([&](auto& stream) { stream.async_write_some(from, std::move(handler)); });
        },
        token, buffers);
  }

#ifdef QG_TLS
  bool secure() const { return tls_.has_value(); }
  /// REQUIRES: secure().
  template <typename Token>
  auto async_handshake(Token&& token) {
    return tls_->async_handshake(boost::asio::ssl::stream_base::server, std::forward<Token>(token));
  }
  /// Says that nothing more comes, and waits until the other side has said so. REQUIRES: secure().
  template <typename Token>
  auto async_farewell(Token&& token) {
    return tls_->async_shutdown(std::forward<Token>(token));
  }
#endif

 private:
  template <typename Visit>
  void with_stream(const Visit& visit) {
#ifdef QG_TLS
    if (tls_) return visit(*tls_);
#endif
    visit(tcp_);
  }

  boost::beast::tcp_stream tcp_;
#ifdef QG_TLS
  std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_;
#endif
};

/// How Beast closes a stream whose time is over.
inline void beast_close_socket(Transport& transport) { transport.close(); }

/// How a WebSocket ends. Beast's own way waits for the client to hang up, without a limit.
template <typename Handler>
void async_teardown(boost::beast::role_type, Transport& transport, Handler&& handler) {
  boost::system::error_code error;
  transport.socket().shutdown(boost::asio::socket_base::shutdown_send, error);
  boost::asio::post(transport.get_executor(),
                    boost::beast::bind_front_handler(std::forward<Handler>(handler), error));
}

}  // namespace qwen3guard::server
