// An upstream that does exactly what a test tells it to.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace qwen3guard::gateway::test {

/// A socket that listens on the loopback, and the free port it took. The caller closes it.
struct Listener {
  int socket = -1;
  std::uint16_t port = 0;
};
Listener listen_on_loopback();

class ScriptedUpstream {
 public:
  /// One connection, on its own thread.
  class Peer {
   public:
    explicit Peer(int socket) : socket_(socket) {}
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    /// Head and body of the request, as they came.
    std::string read_request();
    /// False when the other side has gone.
    bool send(std::string_view bytes);
    /// A head without a length, then chunks.
    void send_stream_head();
    bool send_chunk(std::string_view bytes);
    void end_stream() { send("0\r\n\r\n"); }
    void send_plain(const std::string& body, const std::string& status = "200 OK");
    /// Waits until the gateway closes the connection; false if it does not within 20 seconds.
    bool closed_by_gateway();
    void reset();

   private:
    int socket_;
  };
  using Script = std::function<void(Peer&)>;

  explicit ScriptedUpstream(Script script);
  ~ScriptedUpstream();

  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return connections_; }
  /// Waits for all scripts.
  void join();

 private:
  void accept();

  const Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> connections_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;
  std::list<std::thread> peers_;
};

}  // namespace qwen3guard::gateway::test
