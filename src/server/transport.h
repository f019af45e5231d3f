// The bytes of a connection. Includes Boost: for http_server.cpp alone.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <utility>

namespace qwen3guard::server {

struct Transport : boost::beast::tcp_stream {
  using boost::beast::tcp_stream::tcp_stream;
};

/// How a WebSocket ends. Beast's own way waits for the client to hang up, without a limit.
template <typename Handler>
void async_teardown(boost::beast::role_type, Transport& transport, Handler&& handler) {
  boost::system::error_code error;
  transport.socket().shutdown(boost::asio::socket_base::shutdown_send, error);
  boost::asio::post(transport.get_executor(),
                    boost::beast::bind_front_handler(std::forward<Handler>(handler), error));
}

}  // namespace qwen3guard::server
