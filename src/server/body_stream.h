// What holds between a request and its answer while that takes time.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace qwen3guard::server {

/// A body that is sent while it is being made. The maker writes, the connection takes; both from
/// any thread.
class BodyStream {
 public:
  enum class State {
    kOpen,
    kEnded,    // complete
    kAborted,  // ends here without being complete, and the client gets to see that
  };
  struct Part {
    std::string bytes;
    State state = State::kOpen;
  };

  // The maker's side.
  void write(std::string_view bytes);
  void end() { set_state(State::kEnded); }
  void abort() { set_state(State::kAborted); }
  /// Calls `ready` once, when at most `bytes` wait to be sent or nobody takes them any more;
  /// perhaps before this returns. REQUIRES: no earlier `ready` is outstanding.
  void when_below(std::size_t bytes, std::function<void()> ready);

  // The connection's side.
  Part take();
  /// `wake` is called after each change, under a lock: it must only pass the news on.
  void on_change(std::function<void()> wake);
  /// Nobody takes any more.
  void close();

 private:
  void set_state(State state);

  std::mutex mutex_;
  std::string waiting_;
  State state_ = State::kOpen;
  bool closed_ = false;
  std::size_t room_below_ = 0;
  std::function<void()> ready_;
  std::function<void()> wake_;
};

/// Tells whoever makes an answer that its client has gone.
class Departure {
 public:
  /// `gone` is called once, on the I/O thread, when the client goes before its answer is complete.
  void watch(std::function<void()> gone);
  void happen();

 private:
  std::mutex mutex_;
  bool happened_ = false;
  std::function<void()> gone_;
};

}  // namespace qwen3guard::server
