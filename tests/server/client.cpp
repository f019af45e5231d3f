#include "client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace qwen3guard::server::test {

nlohmann::json Answer::json() const {
  nlohmann::json parsed = nlohmann::json::parse(body, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << status << " " << body;
  return parsed;
}

std::string Answer::code() const {
  const nlohmann::json parsed = json();
  if (!parsed.is_object() || !parsed.contains("error")) return "no error: " + body;
  EXPECT_TRUE(parsed["error"]["message"].is_string() && parsed["error"]["type"].is_string());
  return parsed["error"]["code"].get<std::string>();
}

std::string request_bytes(const std::string& method, const std::string& path,
                          const std::string& body, const Headers& headers) {
  std::string bytes = method + " " + path + " HTTP/1.1\r\nHost: test\r\n";
  for (const auto& [name, value] : headers) bytes += name + ": " + value + "\r\n";
  if (!body.empty() || method == "POST") {
    bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return bytes + "\r\n" + body;
}

Client::Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

Client::~Client() {
  if (socket_ >= 0) ::close(socket_);
}

void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the server had enough; its answer says why
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool Client::more() {
  char chunk[65536];
  const ssize_t got = ::recv(socket_, chunk, sizeof chunk, 0);
  if (got <= 0) return false;
  read_.append(chunk, static_cast<std::size_t>(got));
  return true;
}

Answer Client::receive_head() {
  std::size_t end;
  while ((end = read_.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return {};
  }
  Answer answer;
  const std::string head = read_.substr(0, end + 2);
  read_.erase(0, end + 4);
  EXPECT_EQ(head.rfind("HTTP/1.1 ", 0), 0u) << head;
  answer.status = std::atoi(head.c_str() + 9);
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::size_t stop = head.find("\r\n", at);
    const std::size_t colon = head.find(':', at);
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    answer.headers[name] = head.substr(colon + 2, stop - colon - 2);
    at = stop + 2;
  }
  return answer;
}

std::string Client::receive_chunk() {
  const auto fail = [this] {
    broken_ = true;
    return std::string();
  };
  std::size_t end;
  while ((end = read_.find("\r\n")) == std::string::npos) {
    if (!more()) return fail();
  }
  const std::size_t size = std::stoul("0" + read_.substr(0, end), nullptr, 16);
  while (read_.size() < end + 2 + size + 2) {
    if (!more()) return fail();
  }
  std::string chunk = read_.substr(end + 2, size);
  read_.erase(0, end + 2 + size + 2);
  return chunk;
}

std::string Client::receive_bytes(std::size_t size) {
  while (read_.size() < size && more()) {
  }
  const std::string bytes = read_.substr(0, size);
  read_.erase(0, bytes.size());
  return bytes;
}

Answer Client::receive(bool head_only) {
  Answer answer = receive_head();
  if (answer.headers.count("transfer-encoding") != 0) {
    for (std::string chunk; !(chunk = receive_chunk()).empty();) answer.body += chunk;
    answer.complete = !broken_;
    return answer;
  }
  const auto length = answer.headers.find("content-length");
  const bool bodiless = head_only || length == answer.headers.end();
  const std::size_t size = bodiless ? 0 : std::stoul(length->second);
  answer.body = receive_bytes(size);
  answer.complete = answer.body.size() == size;
  return answer;
}

void Client::vanish() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(socket_);
  socket_ = -1;
}

bool Client::ended() { return read_.empty() && !more(); }

Answer Client::ask(const std::string& method, const std::string& path, const std::string& body,
                   const Headers& headers) {
  send(request_bytes(method, path, body, headers));
  return receive(method == "HEAD");
}

Answer Client::post(const std::string& path, const nlohmann::json& body, const Headers& headers) {
  return ask("POST", path, body.dump(), headers);
}

}  // namespace qwen3guard::server::test
