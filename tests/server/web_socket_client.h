// A WebSocket client that sends exactly the frames it is told to.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "client.h"

namespace qwen3guard::server::test {

struct Frame {
  int opcode = -1;  // -1: the connection ended without one
  std::string payload;

  /// The payload of a text frame, which must be JSON.
  nlohmann::json json() const;
  /// error.code of it.
  std::string code() const;
  /// The code of a close frame; 0 for other frames.
  int close_code() const;
};

constexpr int kTextFrame = 1, kBinaryFrame = 2, kCloseFrame = 8, kPingFrame = 9, kPongFrame = 10;

/// What a handshake has besides the request's line and Host.
Headers handshake(const Headers& more = {});

/// One frame, masked as a client's have to be.
std::string frame_bytes(int opcode, std::string_view payload, bool last = true, bool masked = true);

class WebSocketClient {
 public:
  /// Shakes hands, and expects to be taken.
  explicit WebSocketClient(std::uint16_t port, const Headers& headers = {});

  void send(std::string_view bytes) { client_.send(bytes); }
  void say(const nlohmann::json& message) { send(frame_bytes(kTextFrame, message.dump())); }
  Frame receive();
  /// Sends one message and reads one frame.
  Frame ask(const nlohmann::json& message);
  /// Answers a close frame, after which the server ends the connection.
  bool closes();
  void vanish() { client_.vanish(); }

 private:
  Client client_;
};

}  // namespace qwen3guard::server::test
