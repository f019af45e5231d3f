// The server over https, with certificates made here.
#ifdef QG_TLS
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "certificate.h"
#include "client.h"
#include "running_server.h"

namespace qwen3guard::server::test {
namespace {

using qwen3guard::test::Certificate;

// A folder that goes away with the certificate's files in it.
struct Files {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("qwen3guard-https-" + std::to_string(::getpid()));
  TlsFiles tls{folder / "certificate.pem", folder / "key.pem"};
  Files() { std::filesystem::create_directories(folder); }
  ~Files() { std::filesystem::remove_all(folder); }
  void write(const Certificate& proof) const {
    proof.write_certificate(tls.certificate);
    proof.write_key(tls.key);
  }
};

// A connection that believes whoever `trusted` proves, and nobody else.
class TlsClient {
 public:
  TlsClient(std::uint16_t port, const Certificate& trusted, const std::string& name) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), trusted.certificate());
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    tls_ = SSL_new(context_);  // takes over what the context says by now
    SSL_set1_host(tls_, name.c_str());
    SSL_set_fd(tls_, socket_);
    trusts_ = SSL_connect(tls_) == 1;
  }
  ~TlsClient() {
    SSL_free(tls_);
    SSL_CTX_free(context_);
    ::close(socket_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool trusts() const { return trusts_; }
  void send(const std::string& bytes) {
    EXPECT_EQ(SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  // Until `end` has come, or nothing more does.
  std::string receive_until(const std::string& end) {
    std::string read;
    char space[4096];
    while (read.find(end) == std::string::npos) {
      const int got = SSL_read(tls_, space, sizeof space);
      if (got <= 0) break;
      read.append(space, static_cast<std::size_t>(got));
    }
    return read;
  }
  // Whether the server said that nothing more comes, in place of breaking off.
  bool ended_in_peace() {
    char byte;
    const int got = SSL_read(tls_, &byte, 1);
    return got <= 0 && SSL_get_error(tls_, got) == SSL_ERROR_ZERO_RETURN;
  }

 private:
  SSL_CTX* context_ = SSL_CTX_new(TLS_client_method());
  SSL* tls_ = nullptr;
  int socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
  bool trusts_ = false;
};

ServerOptions with_tls(const Files& files) {
  ServerOptions options;
  options.tls = files.tls;
  return options;
}

// A server that proves itself to be "localhost".
struct SecureServer {
  const Files files;
  const Certificate proof{"localhost"};
  RunningServer server{(files.write(proof), with_tls(files))};

  std::uint16_t port() const { return server.port(); }
  bool trusted(const Certificate& by, const std::string& name = "localhost") const {
    return TlsClient(port(), by, name).trusts();
  }
};

const std::string kAsked = request_bytes("POST", "/v1/moderations", R"({"input":"spoons"})");

TEST(Https, RequestsOneAfterAnotherOnAConnection) {
  const SecureServer server;
  TlsClient client(server.port(), server.proof, "localhost");
  ASSERT_TRUE(client.trusts());
  for (int i = 0; i < 3; ++i) {
    client.send(kAsked);
    const std::string answer = client.receive_until("\"results\"");
    EXPECT_EQ(answer.rfind("HTTP/1.1 200", 0), 0u) << answer;
  }
  client.send(request_bytes("GET", "/health", "", {{"Connection", "close"}}));
  EXPECT_NE(client.receive_until("\r\n\r\n").find("200 OK"), std::string::npos);
  client.receive_until("never");
  EXPECT_TRUE(client.ended_in_peace());
}

// More bytes than one TLS record holds, sent before the answer is read.
TEST(Https, LargeBodiesArriveWhole) {
  const SecureServer server;
  TlsClient client(server.port(), server.proof, "localhost");
  std::string body = R"({"input":[")";
  for (int i = 0; i < 60; ++i) body += std::string(500, 'a') + R"(",")";
  body += R"(end"]})";
  client.send(request_bytes("POST", "/v1/moderations", body));
  const std::string answer = client.receive_until("HTTP/1.1 200");
  EXPECT_NE(answer.find("HTTP/1.1 200"), std::string::npos) << answer.substr(0, 500);
}

TEST(Https, WhoDoesNotSpeakTlsGetsNothingAndHarmsNobody) {
  const SecureServer server;
  for (const std::string& bytes : {kAsked, std::string(100'000, '\x16'), std::string()}) {
    Client plain(server.port());
    plain.send(bytes);
    if (bytes.empty()) plain.vanish();
    if (!bytes.empty()) {
      EXPECT_EQ(plain.receive().status, 0);
    }
  }
  EXPECT_FALSE(server.trusted(Certificate("localhost")));
  EXPECT_FALSE(server.trusted(server.proof, "example.org"));
  TlsClient client(server.port(), server.proof, "localhost");
  client.send(kAsked);
  EXPECT_EQ(client.receive_until("\"results\"").rfind("HTTP/1.1 200", 0), 0u);
}

TEST(Https, ANewCertificateIsForNewConnectionsAndABrokenOneForNone) {
  SecureServer server;
  const Certificate& old = server.proof;
  const Certificate renewed("localhost");
  TlsClient before(server.port(), old, "localhost");
  EXPECT_TRUE(server.trusted(old));
  server.files.write(renewed);
  server.server.reload();
  EXPECT_TRUE(server.trusted(renewed));
  EXPECT_FALSE(server.trusted(old));
  old.write_key(server.files.tls.key);  // of another certificate
  server.server.reload();
  EXPECT_TRUE(server.trusted(renewed));
  before.send(kAsked);
  EXPECT_EQ(before.receive_until("\"results\"").rfind("HTTP/1.1 200", 0), 0u);
}

TEST(Https, FilesThatAreNoCertificateWithItsKeyStartNoServer) {
  const Files files;
  const Certificate proof("localhost"), other("localhost");
  const auto refused = [&](const std::filesystem::path& named) {
    ServerOptions options = with_tls(files);
    options.listen = "127.0.0.1:0";
    const auto server = Server::start(boxed_guard(), Policy::strict(), options);
    ASSERT_FALSE(server.ok());
    EXPECT_EQ(server.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(server.error().message.find(named.filename().string()), std::string::npos)
        << server.error().message;
  };
  refused(files.tls.certificate);
  proof.write_certificate(files.tls.certificate);
  refused(files.tls.key);
  other.write_key(files.tls.key);
  refused(files.tls.key);
  proof.write_key(files.tls.key, "secret");  // nobody is asked for it
  refused(files.tls.key);
}

}  // namespace
}  // namespace qwen3guard::server::test
#endif
