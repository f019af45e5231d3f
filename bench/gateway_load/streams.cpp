#include "gateway_load/streams.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "gateway/sse.h"

namespace qwen3guard::bench {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

namespace {

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

Clock::duration seconds(double count) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
}
double count(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

tcp::endpoint loopback(std::uint16_t port) { return {asio::ip::address_v4::loopback(), port}; }

// One chunk of a body whose length nobody knows yet, with one event in it.
std::string chunk_of(std::string_view data) {
  const std::string event = gateway::sse_event(data);
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", event.size());
  return size + event + "\r\n";
}

std::string completion_chunk(const std::string& content, const json& finish_reason) {
  json delta = json::object();
  if (finish_reason.is_null()) delta["content"] = content;
  const json chunk = {
      {"id", "chatcmpl-1"},
      {"object", "chat.completion.chunk"},
      {"created", 1},
      {"model", "scripted"},
      {"choices", {{{"index", 0}, {"delta", delta}, {"finish_reason", finish_reason}}}}};
  return chunk_of(chunk.dump());
}

// Empty where there is none.
std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Both ends of a stream.
struct Stream {
  std::size_t id = 0;
  bool leaves = false;
  Clock::time_point asked;
  Clock::time_point begun;  // when the first piece was due
  std::string text;         // that arrived
  std::vector<Clock::time_point> arrivals;
  std::string finish_reason;
  bool done = false;
  std::string error;  // of an error event
};

}  // namespace

std::string_view end_name(End end) {
  static constexpr std::array<std::string_view, kEnds> kNames = {
      "complete", "damaged", "flagged", "error", "refused", "broken", "late", "left"};
  return kNames[static_cast<std::size_t>(end)];
}

void Measured::add(const Measured& other) {
  for (std::size_t i = 0; i < kEnds; ++i) ends[i] += other.ends[i];
  damage += other.damage;
  if (first_trouble.empty()) first_trouble = other.first_trouble;
  pieces += other.pieces;
  seconds += other.seconds;
  const auto append = [](std::vector<float>& to, const std::vector<float>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(first, other.first);
  append(tokens, other.tokens);
  append(behind, other.behind);
  append(lateness, other.lateness);
}

class Streams::Io {
 public:
  Io() : acceptor_(context_, loopback(0)) { asio::co_spawn(context_, accept(), asio::detached); }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  Measured run(const Plan& plan, std::uint16_t port, const std::string& path, double tick_seconds,
               const std::function<void()>& tick) {
    plan_ = plan;
    pieces_ = script(plan.pieces);
    whole_.clear();
    ends_.clear();
    for (const std::string& piece : pieces_) ends_.push_back((whole_ += piece).size());
    order_.resize(pieces_.size());
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    if (plan.flaw == Flaw::kDrop) order_.erase(order_.begin() + order_.size() / 2);
    if (plan.flaw == Flaw::kSwap)
      std::swap(order_[order_.size() / 2], order_[order_.size() / 2 - 1]);
    measured_ = {};
    running_ = plan.streams;
    start_ = Clock::now();
    for (std::size_t i = 0; i < plan.streams; ++i) {
      asio::co_spawn(context_, clients(i, port, path), asio::detached);
    }
    asio::steady_timer ticking(context_);
    asio::co_spawn(context_, ticks(ticking, tick_seconds, tick), asio::detached);
    context_.restart();
    while (running_ + serving_ > 0) context_.run_one();
    ticking.cancel();
    context_.poll();
    measured_.seconds = count(Clock::now() - start_);
    return std::move(measured_);
  }

 private:
  asio::awaitable<void> ticks(asio::steady_timer& timer, double every,
                              const std::function<void()>& tick) {
    for (auto next = start_;;) {
      next += seconds(every);
      timer.expires_at(next);
      error_code error;
      co_await timer.async_wait(into(error));
      if (error) co_return;
      tick();
    }
  }

  // The upstream.

  asio::awaitable<void> accept() {
    for (;;) {
      error_code error;
      tcp::socket socket(context_);
      co_await acceptor_.async_accept(socket, into(error));
      if (!error) asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
    }
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    error_code error;
    socket.set_option(tcp::no_delay(true), error);
    beast::flat_buffer buffer;
    http::request<http::string_body> request;
    co_await http::async_read(socket, buffer, request, into(error));
    if (error) co_return;
    const json asked = json::parse(request.body(), nullptr, false);
    const auto found =
        asked.is_object() ? streams_.find(asked.value("seed", std::size_t{0})) : streams_.end();
    if (found == streams_.end()) co_return;
    const std::shared_ptr<Stream> stream = found->second;
    ++serving_;
    co_await write_script(socket, *stream);
    --serving_;
  }

  asio::awaitable<void> write_script(tcp::socket& socket, Stream& stream) {
    error_code error;
    stream.begun = Clock::now();
    const std::string head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(head), into(error));

    asio::steady_timer timer(context_);
    const Clock::duration interval = seconds(1 / plan_.rate);
    for (std::size_t i = 0; i < order_.size() && !error; ++i) {
      const auto due = stream.begun + i * interval;
      timer.expires_at(due);
      co_await timer.async_wait(into(error));
      measured_.lateness.push_back(static_cast<float>(count(Clock::now() - due)));
      const std::string chunk = completion_chunk(pieces_[order_[i]], nullptr);
      co_await asio::async_write(socket, asio::buffer(chunk), into(error));
    }
    if (error) co_return;
    const std::string last = completion_chunk("", "stop") + chunk_of("[DONE]") + "0\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(last), into(error));
  }

  // The clients.

  asio::awaitable<void> clients(std::size_t index, std::uint16_t port, std::string path) {
    asio::steady_timer timer(context_);
    timer.expires_at(start_ + seconds(plan_.ramp_seconds * static_cast<double>(index) /
                                      static_cast<double>(plan_.streams)));
    error_code error;
    co_await timer.async_wait(into(error));
    const auto stop = start_ + seconds(60 * plan_.minutes);
    do {
      const auto stream = std::make_shared<Stream>();
      stream->id = ++newest_;
      stream->leaves = plan_.leave_every > 0 && stream->id % plan_.leave_every == 0;
      streams_[stream->id] = stream;
      std::string trouble;
      const End end = co_await ask(*stream, port, path, trouble);
      streams_.erase(stream->id);
      count_in(*stream, end, trouble);
      if (end == End::kRefused || end == End::kBroken) {  // not again at once
        timer.expires_after(std::chrono::milliseconds(100));
        co_await timer.async_wait(into(error));
      }
    } while (Clock::now() < stop);
    --running_;
  }

  asio::awaitable<End> ask(Stream& stream, std::uint16_t port, const std::string& path,
                           std::string& trouble) {
    beast::tcp_stream connection(context_);
    connection.expires_after(seconds(3 * static_cast<double>(plan_.pieces) / plan_.rate + 60));
    error_code error;
    const auto ends_with = [&](const char* where) {
      trouble = std::string(where) + ": " + error.message();
      return error == beast::error::timeout ? End::kLate : End::kBroken;
    };
    stream.asked = Clock::now();
    co_await connection.async_connect(loopback(port), into(error));
    if (error) co_return ends_with("connecting");
    connection.socket().set_option(tcp::no_delay(true), error);
    const http::request<http::string_body> request = request_of(stream, path);
    co_await http::async_write(connection, request, into(error));
    if (error) co_return ends_with("asking");

    beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    co_await http::async_read_header(connection, buffer, parser, into(error));
    if (error) co_return ends_with("reading the head");
    gateway::SseReader events(1u << 20);
    std::array<char, 16384> space;
    while (!parser.is_done()) {
      parser.get().body().data = space.data();
      parser.get().body().size = space.size();
      co_await http::async_read_some(connection, buffer, parser, into(error));
      const std::string_view got(space.data(), space.size() - parser.get().body().size);
      if (parser.get().result_int() != 200) {
        trouble = std::to_string(parser.get().result_int()) + " " + std::string(got);
        co_return End::kRefused;
      }
      take(stream, events, got);
      if (error == http::error::need_buffer) error = {};
      if (error) co_return ends_with("reading");
      if (stream.leaves && stream.arrivals.size() >= pieces_.size() / 2) co_return End::kLeft;
    }
    trouble = stream.error;
    co_return !stream.error.empty()                  ? End::kError
    : stream.finish_reason == "content_filter"       ? End::kFlagged
    : stream.finish_reason != "stop" || !stream.done ? End::kBroken
    : stream.text != whole_                          ? End::kDamaged
                                                     : End::kComplete;
  }

  static http::request<http::string_body> request_of(const Stream& stream,
                                                     const std::string& path) {
    const json body = {
        {"model", "scripted"},
        {"stream", true},
        {"seed", stream.id},
        {"messages", {{{"role", "user"}, {"content", "How do I whittle a spoon?"}}}}};
    http::request<http::string_body> request(http::verb::post, path, 11);
    request.set(http::field::host, "127.0.0.1");
    request.set(http::field::content_type, "application/json");
    request.set(http::field::connection, "close");
    request.body() = body.dump();
    request.prepare_payload();
    return request;
  }

  void take(Stream& stream, gateway::SseReader& events, std::string_view bytes) const {
    std::vector<std::string> read;
    if (!events.feed(bytes, read).ok()) stream.error = "an event of more than a megabyte";
    for (const std::string& data : read) {
      if (data == "[DONE]") stream.done = true;
      const json chunk = json::parse(data, nullptr, false);
      if (!chunk.is_object()) continue;
      if (chunk.contains("error")) stream.error = chunk["error"].dump();
      for (const json& choice : chunk.value("choices", json::array())) {
        stream.text += text_of(choice.value("delta", json::object()), "content");
        stream.finish_reason += text_of(choice, "finish_reason");
      }
    }
    const auto now = Clock::now();
    while (stream.arrivals.size() < ends_.size() &&
           stream.text.size() >= ends_[stream.arrivals.size()]) {
      stream.arrivals.push_back(now);
    }
  }

  void count_in(const Stream& stream, End end, const std::string& trouble) {
    ++measured_.ends[static_cast<std::size_t>(end)];
    const bool whole = stream.finish_reason == "stop" && stream.done;
    const Damage damage = compare(pieces_, stream.text, whole);
    measured_.damage += damage;
    if (end != End::kComplete && end != End::kLeft && measured_.first_trouble.empty()) {
      measured_.first_trouble = std::string(end_name(end)) + ": " + trouble;
    }
    measured_.pieces += stream.arrivals.size();
    if (stream.arrivals.empty()) return;
    measured_.first.push_back(static_cast<float>(count(stream.arrivals[0] - stream.asked)));
    const double interval = 1 / plan_.rate;
    for (std::size_t i = 1; i < stream.arrivals.size(); ++i) {
      const double after =
          count(stream.arrivals[i] - stream.begun) - static_cast<double>(i) * interval;
      const double last = static_cast<double>(stream.arrivals.size() - 1 - i);
      measured_.tokens.push_back(static_cast<float>(after));
      measured_.behind.push_back(
          static_cast<float>(std::clamp(std::floor(after / interval), 0.0, last)));
    }
  }

  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  Plan plan_;
  std::vector<std::string> pieces_;
  std::string whole_;
  std::vector<std::size_t> ends_;   // of each piece in whole_
  std::vector<std::size_t> order_;  // in which the upstream writes the pieces
  std::map<std::size_t, std::shared_ptr<Stream>> streams_;  // under way, by id
  std::size_t newest_ = 0;
  std::size_t running_ = 0;  // clients
  std::size_t serving_ = 0;  // streams that the upstream writes
  Clock::time_point start_;
  Measured measured_;
};

Streams::Streams() : io_(std::make_unique<Io>()) {}
Streams::~Streams() = default;
std::uint16_t Streams::upstream_port() const { return io_->port(); }
Measured Streams::run(const Plan& plan, std::uint16_t port, const std::string& path,
                      double tick_seconds, const std::function<void()>& tick) {
  return io_->run(plan, port, path, tick_seconds, tick);
}

Result<std::string> fetch(std::uint16_t port, const std::string& path) {
  asio::io_context context;
  tcp::socket socket(context);
  error_code error;
  socket.connect(loopback(port), error);
  http::request<http::empty_body> request(http::verb::get, path, 11);
  request.set(http::field::host, "127.0.0.1");
  request.set(http::field::connection, "close");
  http::response<http::string_body> response;
  beast::flat_buffer buffer;
  if (!error) http::write(socket, request, error);
  if (!error) http::read(socket, buffer, response, error);
  if (error || response.result_int() != 200) {
    return Error{ErrorCode::kIo,
                 "GET " + path + ": expected 200, got " +
                     (error ? error.message() : std::to_string(response.result_int()))};
  }
  return std::move(response.body());
}

}  // namespace qwen3guard::bench
