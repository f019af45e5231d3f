// Upstreams over https, with certificates made here.
#ifdef QG_TLS
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

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
  TlsUpstream() : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* name = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate_, name);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(certificate_, names, -1);
    X509_EXTENSION_free(names);
    EXPECT_GT(X509_sign(certificate_, key_, EVP_sha256()), 0);
    SSL_CTX_use_certificate(context_, certificate_);
    SSL_CTX_use_PrivateKey(context_, key_);

    const Listener listener = listen_on_loopback();
    listener_ = listener.socket;
    port_ = listener.port;
    thread_ = std::thread([this] { serve(); });
  }
  ~TlsUpstream() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    X509_free(certificate_);
    EVP_PKEY_free(key_);
    SSL_CTX_free(context_);
  }

  std::uint16_t port() const { return port_; }
  std::size_t requests() const { return requests_; }
  void write_certificate(const std::filesystem::path& path) const {
    std::FILE* file = std::fopen(path.c_str(), "w");
    EXPECT_EQ(PEM_write_X509(file, certificate_), 1);
    std::fclose(file);
  }

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

  EVP_PKEY* key_;
  X509* certificate_;
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
  upstream.write_certificate(authorities);
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
