// The client side of the gateway: requests to one upstream over HTTP/1.1.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"
#include "server/http.h"

namespace qwen3guard::gateway {

/// http://HOST[:PORT][/PREFIX] or https://…
struct UpstreamUrl {
  bool tls = false;
  std::string host;    // without brackets
  std::string port;    // as a number
  std::string header;  // for "Host"
  std::string prefix;  // of every path; empty or with a slash in front
};
Result<UpstreamUrl> parse_url(const std::string& url);

struct UpstreamLimits {
  std::chrono::milliseconds connect{10'000};      // connection and handshake
  std::chrono::milliseconds first_byte{300'000};  // from the request to the answer's first bytes
  std::chrono::milliseconds between{60'000};      // from then on, each time nothing comes
  std::size_t header_bytes = 64u << 10;
  /// PEM file of the authorities that may vouch for the upstream; empty: the system's.
  std::string authorities;
};

struct UpstreamRequest {
  std::string method;
  std::string target;  // path and query; the URL's prefix goes in front
  std::vector<server::Header> headers;
  std::string body;
};

struct UpstreamHead {
  int status = 0;
  std::vector<server::Header> headers;

  std::string_view header(std::string_view name) const;
};

/// One request under way. From any thread; ended by cancel() or when the last reference goes.
class UpstreamCall {
 public:
  virtual ~UpstreamCall() = default;
  /// Calls `taken` with the next bytes of the body, as many as are there; nothing at its end.
  /// Errors: kIo (broken before its end), kTimeout. REQUIRES: the head came, and an earlier `taken`
  /// was called. Not reading holds the upstream back.
  virtual void read(std::function<void(Result<std::string>)> taken) = 0;
  /// Closes the connection; no callback is called after those that run now.
  virtual void cancel() = 0;
};

/// Callbacks run on the client's own thread and must not block.
class Upstream {
 public:
  /// Errors: kUnsupported, kIo.
  static Result<std::unique_ptr<Upstream>> create(const UpstreamUrl& url,
                                                  const UpstreamLimits& limits);
  ~Upstream();

  /// Takes the call it belongs to, and the answer's status and headers. Errors: kIo, kTimeout.
  using TakeHead = std::function<void(std::shared_ptr<UpstreamCall>, Result<UpstreamHead>)>;
  std::shared_ptr<UpstreamCall> start(UpstreamRequest request, TakeHead head);
  /// Drops all calls with their callbacks; none runs after this has returned.
  void stop();

 private:
  class Io;
  explicit Upstream(std::unique_ptr<Io> io);
  std::unique_ptr<Io> io_;
};

}  // namespace qwen3guard::gateway
