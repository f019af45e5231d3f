#include "server/http_server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <functional>
#include <set>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"
#include "server/transport.h"
#include "server/web_socket_loop.h"

namespace qwen3guard::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = http::request_parser<http::string_body>;
using Reply = http::response<http::string_body>;

namespace {

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

// How much of what a refused client still sends is read, so that it gets to see the answer.
constexpr std::size_t kLingerBytes = 16u << 20;
constexpr std::chrono::seconds kLingerTime{2};

Result<std::pair<std::string, std::string>> split_address(const std::string& address) {
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  const bool digits = !port.empty() && port.size() <= 5 &&
                      port.find_first_not_of("0123456789") == std::string::npos;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    host.clear();
  }
  if (host.empty() || !digits || std::stoi(port) > 65535) {
    return Error{ErrorCode::kInvalidArgument,
                 "listen address " + bytes::quote(address) +
                     ": expected HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080"};
  }
  return std::pair(std::move(host), port);
}

Result<std::shared_ptr<TlsContext>> tls_context(const TlsFiles& files) {
#ifdef QG_TLS
  namespace ssl = asio::ssl;
  const auto refused = [](const char* what, const std::filesystem::path& path, error_code error) {
    return Error{ErrorCode::kInvalidArgument, std::string(what) + " " + bytes::quote_path(path) +
                                                  ": expected PEM, found: " + error.message()};
  };
  auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
  error_code error;
  context->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 |
                           ssl::context::no_tlsv1_1 | ssl::context::no_compression,
                       error);
  // Else OpenSSL would ask for it on the terminal.
  context->set_password_callback([](std::size_t, auto) { return std::string(); }, error);
  context->use_certificate_chain_file(files.certificate.string(), error);
  if (error) return refused("certificate", files.certificate, error);
  context->use_private_key_file(files.key.string(), ssl::context::pem, error);
  if (error) return refused("key of the certificate", files.key, error);
  return context;
#else
  (void)files;
  return Error{ErrorCode::kUnsupported, "TLS: this program was built without OpenSSL"};
#endif
}

Request request_from(Parser& parser) {
  auto message = parser.release();
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.path = request.target.substr(0, request.target.find_first_of("?#"));
  for (const auto& field : message) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  request.body = std::move(message.body());
  return request;
}

template <typename Body>
http::response<Body> head_of(const Response& response) {
  http::response<Body> reply(static_cast<http::status>(response.status), 11);
  for (const Header& header : response.headers) reply.insert(header.name, header.value);
  if (!response.content_type.empty()) {
    reply.set(http::field::content_type, response.content_type);
  }
  return reply;
}

Reply reply_from(Response response, bool keep_alive, bool head) {
  auto reply = head_of<http::string_body>(response);
  reply.body() = std::move(response.body);
  reply.keep_alive(keep_alive);
  reply.prepare_payload();
  if (head) reply.body().clear();  // the length stays that of what GET gives
  if (response.status == 304) reply.erase(http::field::content_length);  // it would be 200's
  return reply;
}

}  // namespace

class HttpServer::Io {
 public:
  Io(const HttpLimits& limits, TlsFiles tls, Application& application)
      : limits_(limits), tls_files_(std::move(tls)), application_(application) {}
  ~Io() { ending_ = true; }

  Status listen(const std::string& address) {
    QG_TRY(const auto place, split_address(address));
    error_code error;
    const auto found = tcp::resolver(context_).resolve(place.first, place.second, error);
    if (!error && !found.empty()) {
      const tcp::endpoint endpoint = *found.begin();
      acceptor_.open(endpoint.protocol(), error);
      if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
      if (!error) acceptor_.bind(endpoint, error);
      if (!error) acceptor_.listen(tcp::acceptor::max_listen_connections, error);
      if (!error) port_ = acceptor_.local_endpoint(error).port();
    }
    if (error) {
      return Error{ErrorCode::kIo, "cannot listen on " + address + ": " + error.message()};
    }
    return {};
  }

  Status load_tls() {
    if (tls_files_.certificate.empty() && tls_files_.key.empty()) return {};
    QG_TRY(auto context, tls_context(tls_files_));
    asio::post(context_, [this, context = std::move(context)] { tls_ = context; });
    return {};
  }

  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return count_; }

  void run() {
    asio::co_spawn(context_, accept(), asio::detached);
    context_.run();
  }

  void drain() {
    asio::post(context_, [this] { start_draining(); });
  }

 private:
  // A connection's place in the set of all.
  struct Connection {
    Connection(Io& io, tcp::socket socket) : io_(io), stream(std::move(socket), io.tls_) {
      io_.open_.insert(this);
      ++io_.count_;
    }
    ~Connection() {
      io_.open_.erase(this);
      if (--io_.count_ == 0 && !io_.ending_) io_.drained_.cancel();
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Io& io_;
    Transport stream;
    beast::flat_buffer buffer;
    // Set where the server's end concerns it before its next request.
    std::function<void()> on_drain;
  };

  asio::awaitable<void> accept() {
    while (!draining_) {
      bool taken = false;
      try {
        error_code error;
        tcp::socket socket = co_await acceptor_.async_accept(into(error));
        if (draining_) break;
        taken = !error;
        if (taken) asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
      } catch (const std::exception&) {
        taken = false;
      }
      if (taken) continue;
      // Out of descriptors or memory: some come back as connections end.
      error_code ignored;
      asio::steady_timer pause(context_, std::chrono::milliseconds(50));
      co_await pause.async_wait(into(ignored));
    }
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    try {
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      Connection connection(*this, std::move(socket));
      if (count_ > limits_.connections && !tls_) {
        co_await refuse(connection, 503, "too_many_connections",
                        "the server has as many connections as it takes; try again later");
        co_return;
      }
      if (!co_await begin_tls(connection)) co_return;
      while (co_await serve_request(connection)) {
      }
      co_await end_tls(connection);
    } catch (const std::exception&) {
      // Out of memory: this connection ends, the others go on.
    }
  }

  // Whether requests may follow. Nobody is told why not: there is no common language.
  asio::awaitable<bool> begin_tls(Connection& connection) {
#ifdef QG_TLS
    if (!connection.stream.secure()) co_return true;
    if (count_ > limits_.connections) {
      application_.refuse(503, "too_many_connections", "a connection before its TLS handshake");
      co_return false;
    }
    connection.stream.expires_after(limits_.read);
    error_code error;
    co_await connection.stream.async_handshake(into(error));
    if (error) application_.refuse(400, "bad_tls", "a TLS handshake failed: " + error.message());
    co_return !error;
#else
    (void)connection;
    co_return true;
#endif
  }

  // So that the client knows an answer that ends with the connection to be whole.
  asio::awaitable<void> end_tls(Connection& connection) {
#ifdef QG_TLS
    if (!connection.stream.secure()) co_return;
    connection.stream.expires_after(kLingerTime);
    error_code ignored;
    co_await connection.stream.async_farewell(into(ignored));
#else
    (void)connection;
    co_return;
#endif
  }

  // Whether another request may follow.
  asio::awaitable<bool> serve_request(Connection& connection) {
    error_code error;
    if (connection.buffer.size() == 0) {
      if (draining_) co_return false;
      connection.on_drain = [&connection] { connection.stream.cancel(); };
      connection.stream.expires_after(limits_.idle);
      const auto space = connection.buffer.prepare(4096);
      const std::size_t got = co_await connection.stream.async_read_some(space, into(error));
      connection.on_drain = nullptr;
      if (error) co_return false;
      connection.buffer.commit(got);
    }
    connection.stream.expires_after(limits_.read);
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser.body_limit(limits_.body_bytes);
    co_await http::async_read_header(connection.stream, connection.buffer, parser, into(error));
    if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go_on(http::status::continue_, 11);
      co_await http::async_write(connection.stream, go_on, into(error));
    }
    if (!error)
      co_await http::async_read(connection.stream, connection.buffer, parser, into(error));
    if (error) {
      co_await refuse_bytes(connection, error);
      co_return false;
    }
    const Wishes wishes{.more = parser.get().keep_alive(),
                        .head = parser.get().method() == http::verb::head,
                        .chunks = parser.get().version() >= 11};
    Request request = request_from(parser);
    const auto departure = request.departure = std::make_shared<Departure>();
    Request handshake;
    if (!request.header("upgrade").empty()) handshake = request;
    Response upgrade;
    using namespace asio::experimental::awaitable_operators;
    const auto done = co_await (respond(connection, std::move(request), wishes, upgrade) ||
                                watch(connection, *departure));
    const bool more = done.index() == 0 && std::get<0>(done);
    if (!upgrade.web_socket) co_return more;
    co_await serve_web_socket(connection, handshake, std::move(upgrade));
    co_return false;
  }

  asio::awaitable<void> serve_web_socket(Connection& connection, const Request& handshake,
                                         Response upgrade) {
    // Frames come after the handshake's answer: these bytes are something else.
    if (connection.buffer.size() != 0) {
      co_return co_await refuse(connection, 400, "bad_websocket",
                                "bytes came before the answer to the handshake");
    }
    {
      WebSocketLoop loop(context_, connection.stream, limits_, application_);
      connection.on_drain = [&loop] { loop.stop(); };
      if (draining_) loop.stop();
      co_await loop.run(handshake, std::move(upgrade));
      connection.on_drain = nullptr;
    }
    co_await linger(connection);
  }

  // What a client can take.
  struct Wishes {
    bool more = false;    // another answer after this one
    bool head = false;    // no body
    bool chunks = false;  // a body whose length is not known
  };

  // Whether another request may follow. An answer that makes a WebSocket of the connection goes to
  // `upgrade` and is not sent.
  asio::awaitable<bool> respond(Connection& connection, Request request, Wishes wishes,
                                Response& upgrade) {
    const auto departure = request.departure;
    Response response = co_await answer(std::move(request));
    if (response.web_socket) {
      upgrade = std::move(response);
      co_return false;
    }
    if (wishes.head && response.stream) {
      response.stream->close();
      response.stream = nullptr;
    }
    const bool keep_alive = wishes.more && !draining_;
    if (response.stream) {
      const bool chunks = wishes.chunks;
      const bool whole =
          co_await write_stream(connection, std::move(response), departure, chunks, keep_alive);
      co_return whole&& chunks&& keep_alive;
    }
    co_return co_await write(connection, std::move(response), keep_alive, wishes.head) &&
        keep_alive;
  }

  // Notices that the client goes while its answer is being made. What else it sends is kept for the
  // next request. Never returns by itself.
  asio::awaitable<void> watch(Connection& connection, Departure& departure) {
    error_code error;
    while (!error && connection.buffer.size() < limits_.header_bytes) {
      const auto space = connection.buffer.prepare(4096);
      connection.stream.expires_never();  // leaves what is being written its time
      connection.buffer.commit(co_await connection.stream.async_read_some(space, into(error)));
    }
    if (error && error != asio::error::operation_aborted) departure.happen();
    asio::steady_timer never(context_, asio::steady_timer::time_point::max());
    co_await never.async_wait(into(error));
  }

  // Whether the client got all of it.
  asio::awaitable<bool> write_stream(Connection& connection, Response response,
                                     std::shared_ptr<Departure> departure, bool chunks,
                                     bool keep_alive) {
    struct Closing {
      BodyStream& body;
      ~Closing() { body.close(); }
    };
    const auto body = std::move(response.stream);
    const Closing closing{*body};
    const auto changed =
        std::make_shared<asio::steady_timer>(context_, asio::steady_timer::time_point::max());
    body->on_change([this, changed] { asio::post(context_, [changed] { changed->cancel(); }); });

    auto head = head_of<http::empty_body>(response);
    head.chunked(chunks);
    head.keep_alive(chunks && keep_alive);
    http::response_serializer<http::empty_body> serializer(head);
    error_code error;
    connection.stream.expires_after(limits_.write);
    co_await http::async_write_header(connection.stream, serializer, into(error));
    BodyStream::Part part{std::move(response.body)};
    while (!error) {
      if (!part.bytes.empty()) {
        connection.stream.expires_after(limits_.write);
        const asio::const_buffer bytes = asio::buffer(part.bytes);
        if (chunks) {
          co_await asio::async_write(connection.stream, http::make_chunk(bytes), into(error));
        } else {
          co_await asio::async_write(connection.stream, bytes, into(error));
        }
      }
      if (error || part.state == BodyStream::State::kAborted) break;
      if (part.state == BodyStream::State::kEnded) {
        if (chunks) {
          co_await asio::async_write(connection.stream, http::make_chunk_last(), into(error));
        }
        co_return !error;
      }
      part = body->take();
      if (part.bytes.empty() && part.state == BodyStream::State::kOpen) {
        error_code ignored;
        co_await changed->async_wait(into(ignored));
      }
    }
    departure->happen();  // also when it reads too slowly, or its answer breaks off
    co_return false;
  }

  // Hands the request over and waits; other connections are served meanwhile.
  asio::awaitable<Response> answer(Request request) {
    return asio::async_initiate<const asio::use_awaitable_t<>&, void(Response)>(
        [this](auto handler, Request taken) {
          auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
          // run() must not return while an answer is on its way.
          auto work = asio::make_work_guard(context_);
          application_.handle(std::move(taken), [this, waiting, work](Response response) {
            asio::post(context_, [waiting, response = std::move(response)]() mutable {
              (*waiting)(std::move(response));
            });
          });
        },
        asio::use_awaitable, std::move(request));
  }

  asio::awaitable<bool> write(Connection& connection, Response response, bool keep_alive,
                              bool head = false) {
    const Reply reply = reply_from(std::move(response), keep_alive, head);
    connection.stream.expires_after(limits_.write);
    error_code error;
    co_await http::async_write(connection.stream, reply, into(error));
    co_return !error;
  }

  asio::awaitable<void> refuse_bytes(Connection& connection, error_code error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      co_await refuse(
          connection, 431, "header_too_large",
          "the request line and headers have more than " + bytes::byte_count(limits_.header_bytes));
    } else if (error == http::error::body_limit) {
      co_await refuse(connection, 413, "too_long",
                      "the body has more than " + bytes::byte_count(limits_.body_bytes));
    } else if (error == beast::error::timeout) {
      // The time-out has closed the connection: there is nobody to tell, but it is counted.
      application_.refuse(408, "timeout", "the request did not arrive in time");
    } else if (error.category() == make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      co_await refuse(connection, 400, "bad_http", "not an HTTP/1.1 request: " + error.message());
    }
  }

  asio::awaitable<void> refuse(Connection& connection, int status, std::string code,
                               std::string message) {
    Response response = application_.refuse(status, code, std::move(message));
    if (co_await write(connection, std::move(response), false)) co_await linger(connection);
  }

  // Until the client hangs up: closing with unread bytes resets the connection, and what was sent
  // last may be lost with it. Below TLS: what still comes is of no interest.
  asio::awaitable<void> linger(Connection& connection) {
    error_code error;
    connection.stream.socket().shutdown(tcp::socket::shutdown_send, error);
    connection.stream.expires_after(kLingerTime);
    connection.buffer.clear();
    for (std::size_t read = 0; !error && read < kLingerBytes;) {
      const auto space = connection.buffer.prepare(16384);
      read += co_await connection.stream.tcp().async_read_some(space, into(error));
    }
  }

  void start_draining() {
    if (draining_) return;
    draining_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    for (Connection* connection : open_) {
      if (connection->on_drain) connection->on_drain();
    }
    if (count_ == 0) return;
    drained_.expires_after(limits_.drain);
    drained_.async_wait([this](error_code cancelled) {
      if (!cancelled) context_.stop();
    });
  }

  const HttpLimits limits_;
  const TlsFiles tls_files_;
  std::shared_ptr<TlsContext> tls_;
  Application& application_;
  // Coroutines under way end with context_: what their connections touch then stands before it.
  std::set<Connection*> open_;
  std::atomic<std::size_t> count_ = 0;
  bool draining_ = false;
  bool ending_ = false;
  std::uint16_t port_ = 0;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer drained_{context_};
};

HttpServer::HttpServer(std::unique_ptr<Io> io) : io_(std::move(io)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const std::string& address,
                                                       const HttpLimits& limits,
                                                       const TlsFiles& tls,
                                                       Application& application) {
  auto io = std::make_unique<Io>(limits, tls, application);
  QG_CHECK_OK(io->load_tls());
  QG_CHECK_OK(io->listen(address));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(io)));
}

std::uint16_t HttpServer::port() const { return io_->port(); }
std::size_t HttpServer::connections() const { return io_->connections(); }
void HttpServer::run() { io_->run(); }
Status HttpServer::reload_tls() { return io_->load_tls(); }
void HttpServer::drain() { io_->drain(); }

}  // namespace qwen3guard::server
