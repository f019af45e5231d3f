#include "scripted_upstream.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace qwen3guard::gateway::test {

Listener listen_on_loopback() {
  Listener listener;
  listener.socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener.socket, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listener.socket, 128), 0);
  ::getsockname(listener.socket, reinterpret_cast<sockaddr*>(&address), &size);
  listener.port = ntohs(address.sin_port);
  return listener;
}

ScriptedUpstream::ScriptedUpstream(Script script) : script_(std::move(script)) {
  const Listener listener = listen_on_loopback();
  listener_ = listener.socket;
  port_ = listener.port;
  acceptor_ = std::thread([this] { accept(); });
}

ScriptedUpstream::~ScriptedUpstream() { join(); }

void ScriptedUpstream::join() {
  if (!acceptor_.joinable()) return;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  for (std::thread& peer : peers_) peer.join();
}

void ScriptedUpstream::accept() {
  for (;;) {
    const int socket = ::accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    const timeval patience{20, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ++connections_;
    const std::lock_guard lock(mutex_);
    peers_.emplace_back([this, socket] {
      Peer peer(socket);
      script_(peer);
    });
  }
}

ScriptedUpstream::Peer::~Peer() {
  if (socket_ >= 0) ::close(socket_);
}

std::string ScriptedUpstream::Peer::read_request() {
  std::string bytes;
  char space[16384];
  for (;;) {
    const std::size_t head = bytes.find("\r\n\r\n");
    if (head != std::string::npos) {
      const std::size_t length = bytes.find("Content-Length: ");
      const std::size_t body =
          length < head ? std::stoul(bytes.substr(length + sizeof "Content-Length: " - 1)) : 0;
      if (bytes.size() >= head + 4 + body) return bytes;
    }
    const ssize_t got = ::recv(socket_, space, sizeof space, 0);
    if (got <= 0) return bytes;
    bytes.append(space, static_cast<std::size_t>(got));
  }
}

bool ScriptedUpstream::Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void ScriptedUpstream::Peer::send_stream_head() {
  send(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Upstream: yes\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
}

bool ScriptedUpstream::Peer::send_chunk(std::string_view bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return send(size + std::string(bytes) + "\r\n");
}

void ScriptedUpstream::Peer::send_plain(const std::string& body, const std::string& status) {
  send("HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " +
       std::to_string(body.size()) + "\r\n\r\n" + body);
}

bool ScriptedUpstream::Peer::closed_by_gateway() {
  char space[4096];
  ssize_t got;
  while ((got = ::recv(socket_, space, sizeof space, 0)) > 0) {
  }
  return got == 0 || errno == ECONNRESET;
}

void ScriptedUpstream::Peer::reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(std::exchange(socket_, -1));
}

}  // namespace qwen3guard::gateway::test
