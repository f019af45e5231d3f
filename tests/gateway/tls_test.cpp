// Upstreams over https, with certificates made here.
#ifdef QG_TLS
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "certificate.h"
#include "chat_fixture.h"
#include "running_gateway.h"
#include "scripted_upstream.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {
namespace {

using server::test::Client;

// Signs itself for "localhost", and answers every request with kHarmless.
class TlsUpstream {
 public:
  TlsUpstream() {
    SSL_CTX_use_certificate(context_, proof_.certificate());
    SSL_CTX_use_PrivateKey(context_, proof_.key());

    const Listener listener = listen_on_loopback();
    listener_ = listener.socket;
    port_ = listener.port;
    thread_ = std::thread([this] { serve(); });
  }
  ~TlsUpstream() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(context_);
  }

  std::uint16_t port() const { return port_; }
  std::size_t requests() const { return requests_; }
  const qwen3guard::test::Certificate& proof() const { return proof_; }

 private:
  void serve() {
    for (int socket; (socket = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(socket)) {
      SSL* tls = SSL_new(context_);
      SSL_set_fd(tls, socket);
      char space[16384];
      if (SSL_accept(tls) == 1 && SSL_read(tls, space, sizeof space) > 0) {
        ++requests_;
        const std::string body = completion(kHarmless);
        const std::string answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body;
        SSL_write(tls, answer.data(), static_cast<int>(answer.size()));
        SSL_shutdown(tls);
      }
      SSL_free(tls);
    }
  }

  const qwen3guard::test::Certificate proof_{"localhost"};
  SSL_CTX* context_ = SSL_CTX_new(TLS_server_method());
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> requests_ = 0;
  std::thread thread_;
};

TEST(Tls, OnlyAnUpstreamThatProvesItsNameIsAsked) {
  const TlsUpstream upstream;
  const auto authorities = std::filesystem::temp_directory_path() /
                           ("qwen3guard-tls-" + std::to_string(::getpid()) + ".pem");
  upstream.proof().write_certificate(authorities);
  const auto status = [&](const std::string& host, bool trusted) {
    GatewayOptions options;
    if (trusted) options.limits.authorities = authorities;
    RunningGateway gateway("https://" + host + ":" + std::to_string(upstream.port()), options,
                           policy());
    Client client(gateway.port());
    return client.post(kPath, request(false)).status;
  };
  EXPECT_EQ(status("localhost", false), 502);
  EXPECT_EQ(status("127.0.0.1", true), 502);
  EXPECT_EQ(upstream.requests(), 0u);
  EXPECT_EQ(status("localhost", true), 200);
  EXPECT_EQ(upstream.requests(), 1u);
  std::filesystem::remove(authorities);
}

}  // namespace
}  // namespace qwen3guard::gateway::test
#endif
