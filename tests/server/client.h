// A client that sends exactly the bytes it is told to.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace qwen3guard::server::test {

struct Answer {
  int status = 0;                              // 0: the connection ended without an answer
  bool complete = true;                        // false: the body broke off
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  /// The body, which must be JSON.
  nlohmann::json json() const;
  /// error.code of an error's body.
  std::string code() const;
};

using Headers = std::map<std::string, std::string>;

/// Whole bytes of a request.
std::string request_bytes(const std::string& method, const std::string& path,
                          const std::string& body = "", const Headers& headers = {});

class Client {
 public:
  explicit Client(std::uint16_t port);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes);
  /// Reads one answer, which has no body if it answers HEAD; gives up after 20 seconds.
  Answer receive(bool head_only = false);
  /// The same in parts: the head, then the body's chunks as they come. Nothing at the body's end;
  /// `broken` tells whether it came too early.
  Answer receive_head();
  std::string receive_chunk();
  bool broken() const { return broken_; }
  /// So many bytes of whatever comes; fewer where the connection ends.
  std::string receive_bytes(std::size_t size);
  /// Closes with a reset, as a client that crashes.
  void vanish();
  /// Whether the server ended the connection, after what was read.
  bool ended();

  Answer ask(const std::string& method, const std::string& path, const std::string& body = "",
             const Headers& headers = {});
  Answer post(const std::string& path, const nlohmann::json& body, const Headers& headers = {});

 private:
  bool more();
  int socket_ = -1;
  std::string read_;
  bool broken_ = false;
};

}  // namespace qwen3guard::server::test
