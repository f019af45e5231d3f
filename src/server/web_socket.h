// A connection that became a WebSocket, as the application sees it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace qwen3guard::server {

/// Why a WebSocket is closed: RFC 6455, section 7.4.1.
enum class CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kUnknownData = 1003,
  kInternalError = 1011,
};

/// The application's end of one WebSocket. Destroyed when the connection has ended.
class WebSocket {
 public:
  struct Reply {
    std::string text;
    /// Where set, the connection is closed after `text`.
    std::optional<CloseCode> close{};
    std::string reason{};  // at most 123 bytes
  };

  virtual ~WebSocket() = default;
  /// One text message, valid UTF-8. On the thread of run(): must not block. `reply` is called once,
  /// from any thread; the next message is read after it.
  virtual void take(std::string message, std::function<void(Reply)> reply) = 0;
  /// A connection without a message for so long is closed.
  virtual std::chrono::milliseconds patience() const = 0;
};

}  // namespace qwen3guard::server
