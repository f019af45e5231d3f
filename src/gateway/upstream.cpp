#include "gateway/upstream.h"

#include <array>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

#ifdef QG_TLS
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#endif

#include "base/try.h"
#include "bytes/quote.h"

namespace qwen3guard::gateway {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = http::response_parser<http::buffer_body>;

namespace {

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

constexpr std::size_t kReadBytes = 64u << 10;

// What the call's user asks for, and how its coroutine hears of it.
class Call final : public UpstreamCall, public std::enable_shared_from_this<Call> {
 public:
  explicit Call(Upstream::TakeHead head) : head_(std::move(head)) {}

  void read(std::function<void(Result<std::string>)> taken) override {
    const std::lock_guard lock(mutex_);
    // Nobody is left to call back: what `taken` holds goes with it.
    if (cancelled_ || !wake_) return;
    taken_ = std::move(taken);
    if (wake_) wake_();
  }
  void cancel() override {
    // What the callbacks hold goes after the lock.
    Upstream::TakeHead head;
    std::function<void(Result<std::string>)> taken;
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    head.swap(head_);
    taken.swap(taken_);
    if (wake_) wake_();
  }

  // The coroutine's side.
  void attach(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }
  // The coroutine is gone. What the callbacks hold often holds this call: they go too.
  void detach() {
    Upstream::TakeHead head;
    std::function<void(Result<std::string>)> taken;
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
    head.swap(head_);
    taken.swap(taken_);
  }
  bool cancelled() {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }
  bool wanted() {
    const std::lock_guard lock(mutex_);
    return taken_ != nullptr;
  }
  void give_head(Result<UpstreamHead> head) {
    if (const auto callback = take(head_)) callback(shared_from_this(), std::move(head));
  }
  void give_bytes(Result<std::string> bytes) {
    if (const auto callback = take(taken_)) callback(std::move(bytes));
  }
  void give_error(const Error& error) {
    give_head(error);
    give_bytes(error);
  }

 private:
  template <typename Callback>
  Callback take(Callback& member) {
    const std::lock_guard lock(mutex_);
    return std::exchange(member, nullptr);
  }

  std::mutex mutex_;
  Upstream::TakeHead head_;
  std::function<void(Result<std::string>)> taken_;
  std::function<void()> wake_;
  bool cancelled_ = false;
};

Error failure(const char* what, error_code error) {
  if (error == beast::error::timeout) {
    return {ErrorCode::kTimeout, std::string("the upstream did not ") + what + " in time"};
  }
  return {ErrorCode::kIo, std::string("the upstream did not ") + what + ": " + error.message()};
}

}  // namespace

class Upstream::Io {
 public:
  Io(const UpstreamUrl& url, const UpstreamLimits& limits) : url_(url), limits_(limits) {
    thread_ = std::thread([context = context_.get()] { context->run(); });
  }
  ~Io() { stop(); }

  // Whose certificates are believed. Before the first start().
  Status prepare_tls() {
#ifdef QG_TLS
    error_code error;
    tls_.set_verify_mode(asio::ssl::verify_peer, error);
    if (!error && limits_.authorities.empty()) {
      tls_.set_default_verify_paths(error);
    } else if (!error) {
      tls_.load_verify_file(limits_.authorities, error);
    }
    if (error) {
      return Error{ErrorCode::kIo, "certificates of authorities " +
                                       bytes::quote(limits_.authorities) + ": " + error.message()};
    }
    return {};
#else
    return Error{ErrorCode::kUnsupported,
                 "upstream: this program was built without OpenSSL, so without https"};
#endif
  }

  void stop() {
    std::unique_ptr<asio::io_context> dropped;  // with the coroutines under way
    {
      const std::lock_guard lock(mutex_);
      if (!context_) return;
      context_->stop();
      dropped = std::move(context_);
    }
    thread_.join();
    work_.reset();
  }

  std::shared_ptr<UpstreamCall> start(UpstreamRequest request, TakeHead head) {
    auto call = std::make_shared<Call>(std::move(head));
    {
      const std::lock_guard lock(mutex_);
      if (context_) {
        // stop() may drop the coroutine in the middle, or before it has begun.
        const std::shared_ptr<Call> held(call.get(), [call](Call*) { call->detach(); });
        asio::co_spawn(*context_, run(*context_, held, std::move(request)), asio::detached);
        return call;
      }
    }
    call->cancel();  // without the lock, which what its callback holds may take as it goes
    return call;
  }

 private:
  // Ties a call to its coroutine for as long as both are there.
  struct Tie {
    Tie(Io& io, asio::io_context& context, std::shared_ptr<Call> tied, beast::tcp_stream& stream)
        : call(std::move(tied)),
          changed(std::make_shared<asio::steady_timer>(context,
                                                       asio::steady_timer::time_point::max())) {
      call->attach([&io, &stream, weak = std::weak_ptr(changed), held = call.get()] {
        // Runs on the coroutine's thread, and only if it is still there.
        io.post([&stream, weak, held] {
          const auto alive = weak.lock();
          if (!alive) return;
          if (held->cancelled()) stream.close();
          alive->cancel();
        });
      });
    }
    ~Tie() { call->attach(nullptr); }
    Tie(const Tie&) = delete;
    Tie& operator=(const Tie&) = delete;

    const std::shared_ptr<Call> call;
    const std::shared_ptr<asio::steady_timer> changed;
  };

  // Workers ask calls for more while stop() ends: a context that is being destroyed does not lock
  // what it destroys, so that it may get no more work.
  template <typename Step>
  void post(Step step) {
    const std::lock_guard lock(mutex_);
    if (context_) asio::post(*context_, std::move(step));
  }

  asio::awaitable<void> run(asio::io_context& context, std::shared_ptr<Call> call,
                            UpstreamRequest request) {
    try {
#ifdef QG_TLS
      if (url_.tls) {
        asio::ssl::stream<beast::tcp_stream> stream(context, tls_);
        co_await exchange(context, std::move(call), stream, std::move(request));
        co_return;
      }
#endif
      beast::tcp_stream stream(context);
      co_await exchange(context, std::move(call), stream, std::move(request));
    } catch (const std::exception&) {
      if (call) call->give_error(no_memory());
    }
  }

  static Error no_memory() {
    return {ErrorCode::kIo, "no memory is left for the upstream's answer"};
  }

  template <typename Stream>
  asio::awaitable<void> exchange(asio::io_context& context, std::shared_ptr<Call> call,
                                 Stream& stream, UpstreamRequest request) {
    beast::tcp_stream& connection = beast::get_lowest_layer(stream);
    const Tie tie(*this, context, std::move(call), connection);
    try {
      error_code error;
      tcp::resolver resolver(context);
      const auto places = co_await resolver.async_resolve(url_.host, url_.port, into(error));
      if (tie.call->cancelled()) co_return;
      if (!error) {
        connection.expires_after(limits_.connect);
        co_await connection.async_connect(places, into(error));
      }
      if (error) co_return tie.call->give_error(failure("take a connection", error));
      error_code ignored;
      connection.socket().set_option(tcp::no_delay(true), ignored);
#ifdef QG_TLS
      if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
        // Which certificate is wanted, and that it must be for this host.
        const bool named = SSL_set_tlsext_host_name(stream.native_handle(), url_.host.c_str()) == 1;
        stream.set_verify_callback(asio::ssl::host_name_verification(url_.host), error);
        if (!named || error) co_return tie.call->give_error(no_memory());
        connection.expires_after(limits_.connect);
        co_await stream.async_handshake(asio::ssl::stream_base::client, into(error));
        if (error) co_return tie.call->give_error(failure("agree on TLS", error));
      }
#endif
      co_await talk(tie, stream, std::move(request));
    } catch (const std::exception&) {
      tie.call->give_error(no_memory());
    }
  }

  // On an open connection: the request, the head of the answer, its body as it is asked for.
  template <typename Stream>
  asio::awaitable<void> talk(const Tie& tie, Stream& stream, UpstreamRequest request) {
    beast::tcp_stream& timed = beast::get_lowest_layer(stream);
    error_code error;
    const bool no_body = request.method == "HEAD";
    const auto message = message_from(std::move(request));
    timed.expires_after(limits_.first_byte);
    co_await http::async_write(stream, message, into(error));
    if (error) co_return tie.call->give_error(failure("take the request", error));

    beast::flat_buffer buffer;
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser.body_limit(boost::none);
    parser.skip(no_body);
    co_await http::async_read_header(stream, buffer, parser, into(error));
    if (error) co_return tie.call->give_error(failure("answer", error));
    tie.call->give_head(head_from(parser));

    std::array<char, kReadBytes> space;
    bool begun = false;
    while (!tie.call->cancelled()) {
      if (!tie.call->wanted()) {
        error_code ignored;
        co_await tie.changed->async_wait(into(ignored));
        continue;
      }
      std::size_t got = 0;
      while (got == 0 && !parser.is_done() && !error) {
        parser.get().body().data = space.data();
        parser.get().body().size = space.size();
        timed.expires_after(begun ? limits_.between : limits_.first_byte);
        co_await http::async_read_some(stream, buffer, parser, into(error));
        got = space.size() - parser.get().body().size;
        if (error == http::error::need_buffer) error = {};
      }
      if (got == 0 && error) {
        co_return tie.call->give_error(failure("end its answer", error));
      }
      tie.call->give_bytes(std::string(space.data(), got));
      if (got == 0) co_return;
      begun = true;
      error = {};  // it comes again with the next read
    }
  }

  http::request<http::string_body> message_from(UpstreamRequest request) const {
    http::request<http::string_body> message;
    message.version(11);
    message.method_string(request.method);
    message.target(url_.prefix + request.target);
    for (const server::Header& header : request.headers) message.insert(header.name, header.value);
    message.set(http::field::host, url_.header);
    message.set(http::field::connection, "close");
    if (!request.body.empty() || request.method == "POST") {
      message.body() = std::move(request.body);
      message.content_length(message.body().size());
    }
    return message;
  }

  static UpstreamHead head_from(const Parser& parser) {
    UpstreamHead head{static_cast<int>(parser.get().result_int()), {}};
    for (const auto& field : parser.get()) {
      head.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    return head;
  }

  const UpstreamUrl url_;
  const UpstreamLimits limits_;
#ifdef QG_TLS
  asio::ssl::context tls_{asio::ssl::context::tls_client};
#endif
  std::mutex mutex_;
  std::unique_ptr<asio::io_context> context_ = std::make_unique<asio::io_context>(1);
  asio::executor_work_guard<asio::io_context::executor_type> work_ =
      asio::make_work_guard(*context_);
  std::thread thread_;
};

Upstream::Upstream(std::unique_ptr<Io> io) : io_(std::move(io)) {}
Upstream::~Upstream() = default;

Result<std::unique_ptr<Upstream>> Upstream::create(const UpstreamUrl& url,
                                                   const UpstreamLimits& limits) {
  auto io = std::make_unique<Io>(url, limits);
  if (url.tls) QG_CHECK_OK(io->prepare_tls());
  return std::unique_ptr<Upstream>(new Upstream(std::move(io)));
}

std::shared_ptr<UpstreamCall> Upstream::start(UpstreamRequest request, TakeHead head) {
  return io_->start(std::move(request), std::move(head));
}
void Upstream::stop() { io_->stop(); }

}  // namespace qwen3guard::gateway
