// The line that tells a waiting person how far a long job is.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "qwen3guard/verdict.h"

namespace qwen3guard::apps {

/// What became of the lines of a job.
struct Tally {
  std::uint64_t safe = 0;
  std::uint64_t controversial = 0;
  std::uint64_t unsafe = 0;
  std::uint64_t errors = 0;

  void count(Risk risk);
  std::uint64_t total() const { return safe + controversial + unsafe + errors; }
};

/// One status line on standard error, redrawn a few times a second; nothing at all where `visible`
/// is false. Not thread-safe.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  /// `total_bytes`: of the input, where known: gives a percentage and the time left.
  Progress(bool visible, std::optional<std::uint64_t> total_bytes);

  /// `done_bytes` of the input are dealt with.
  void update(const Tally& tally, std::uint64_t done_bytes);
  /// From here on counts the speed: what came before was found in the output already.
  void start(const Tally& tally, std::uint64_t done_bytes);
  /// Draws the last state and ends the line.
  void finish(const Tally& tally, std::uint64_t done_bytes);

 private:
  void draw(const Tally& tally, std::uint64_t done_bytes);

  bool visible_;
  std::optional<std::uint64_t> total_bytes_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_{};
  std::uint64_t first_lines_ = 0;
  std::uint64_t first_bytes_ = 0;
};

/// The status line; pure, for tests. `lines_per_second` and `seconds_left` where known.
std::string progress_line(const Tally& tally, std::optional<double> fraction,
                          double lines_per_second, std::optional<double> seconds_left);

}  // namespace qwen3guard::apps
