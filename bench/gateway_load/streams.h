// An upstream that writes by a script, and the clients of its streams: one thread, one clock.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway_load/script.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bench {

/// What the upstream does wrong on purpose, to show that it is noticed.
enum class Flaw { kNone, kDrop, kSwap };

struct Plan {
  std::size_t streams = 1;  // at a time
  double rate = 50;         // pieces a second, of each
  std::size_t pieces = 200;
  double ramp_seconds = 1;  // over which the streams begin
  /// Above 0: for so long a stream that ends is followed by another.
  double minutes = 0;
  /// Above 0: every n-th client goes half way.
  std::size_t leave_every = 0;
  Flaw flaw = Flaw::kNone;
};

enum class End {
  kComplete,  // every piece, finish_reason "stop", [DONE]
  kDamaged,   // the same without every piece in its place
  kFlagged,   // finish_reason "content_filter"
  kError,     // an error event
  kRefused,   // an answer other than 200
  kBroken,    // no connection, or one that broke off
  kLate,      // not at its end in three times its time and a minute
  kLeft,      // a client that was to go
};
constexpr std::size_t kEnds = 8;
std::string_view end_name(End end);

/// All streams of a run. Seconds.
struct Measured {
  std::array<std::size_t, kEnds> ends{};
  Damage damage;
  std::string first_trouble;  // what the first stream that went wrong said
  std::size_t pieces = 0;     // that arrived
  double seconds = 0;
  std::vector<float> first;     // from the request to the first text
  std::vector<float> tokens;    // from when a piece was due to its arrival, later pieces only
  std::vector<float> behind;    // pieces that were due after it by then
  std::vector<float> lateness;  // of the upstream itself

  void add(const Measured& other);
};

class Streams {
 public:
  /// Listens on a free port of 127.0.0.1.
  Streams();
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  std::uint16_t upstream_port() const;
  /// Runs until all streams have ended; they ask `path` on `port`. `tick` is called every
  /// `tick_seconds`.
  Measured run(const Plan& plan, std::uint16_t port, const std::string& path, double tick_seconds,
               const std::function<void()>& tick);

 private:
  class Io;
  std::unique_ptr<Io> io_;
};

/// The body of GET `path`. Errors: no answer, or one other than 200.
Result<std::string> fetch(std::uint16_t port, const std::string& path);

}  // namespace qwen3guard::bench
