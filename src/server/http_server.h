// HTTP/1.1 over TCP or TLS: accepts connections, reads requests within limits, writes responses.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "qwen3guard/result.h"
#include "server/http.h"

namespace qwen3guard::server {

struct HttpLimits {
  std::size_t header_bytes = 16u << 10;  // request line and headers
  std::size_t body_bytes = 4u << 20;
  std::size_t connections = 1024;
  std::chrono::milliseconds idle{60'000};   // between two requests
  std::chrono::milliseconds read{30'000};   // for a request, from its first byte to its last
  std::chrono::milliseconds write{30'000};  // for a response
  std::chrono::milliseconds drain{30'000};  // for what is under way when the server stops
};

/// PEM files; both empty: no TLS.
struct TlsFiles {
  std::filesystem::path certificate;  // the server's own first, then those that sign it
  std::filesystem::path key;          // without a passphrase
};

/// What the server serves.
class Application {
 public:
  virtual ~Application() = default;
  /// On the thread of run(): must not block.
  virtual void handle(Request request, Respond respond) = 0;
  /// The answer to bytes that are no request, or to one that a limit forbids.
  virtual Response refuse(int status, std::string_view code, std::string message) = 0;
};

/// One thread, that of run(), does all input and output.
class HttpServer {
 public:
  /// Listens on "HOST:PORT" ("[::1]:8080"; port 0 takes a free one). `application` outlives the
  /// server. Errors: kInvalidArgument, kIo; for files that are no certificate with its key
  /// kInvalidArgument.
  static Result<std::unique_ptr<HttpServer>> listen(const std::string& address,
                                                    const HttpLimits& limits, const TlsFiles& tls,
                                                    Application& application);
  ~HttpServer();

  std::uint16_t port() const;
  std::size_t connections() const;  // from any thread
  /// Serves until drained.
  void run();
  /// From any thread: reads the files of TLS again, for connections that begin from now on. After
  /// an error those before stay in use.
  Status reload_tls();
  /// From any thread: no new connections and requests; run() returns when those under way have
  /// their answers, or after limits.drain.
  void drain();

 private:
  class Io;
  explicit HttpServer(std::unique_ptr<Io> io);
  std::unique_ptr<Io> io_;
};

}  // namespace qwen3guard::server
