#include "apps/progress.h"

#include <algorithm>
#include <cstdio>

namespace qwen3guard::apps {
namespace {

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string duration(double seconds) {
  const auto whole = static_cast<long long>(std::min(seconds, 3.6e8) + 0.5);
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60,
                  whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  }
  return text;
}

}  // namespace

void Tally::count(Risk risk) {
  switch (risk) {
    case Risk::kSafe:
      ++safe;
      break;
    case Risk::kControversial:
      ++controversial;
      break;
    case Risk::kUnsafe:
      ++unsafe;
      break;
  }
}

std::string progress_line(const Tally& tally, std::optional<double> fraction,
                          double lines_per_second, std::optional<double> seconds_left) {
  constexpr int kWidth = 20;
  std::string line;
  if (fraction) {
    const double done = std::clamp(*fraction, 0.0, 1.0);
    const int filled = static_cast<int>(done * kWidth);
    line += "[";
    for (int i = 0; i < kWidth; ++i) line += i < filled ? '#' : '.';
    line += format("] %3.0f%%  ", done * 100);
  }
  line += std::to_string(tally.total()) + " conversations  " + format("%.1f/s", lines_per_second);
  if (seconds_left) line += "  " + duration(*seconds_left) + " left";
  line += "  safe " + std::to_string(tally.safe) + "  controversial " +
          std::to_string(tally.controversial) + "  unsafe " + std::to_string(tally.unsafe) +
          "  errors " + std::to_string(tally.errors);
  return line;
}

Progress::Progress(bool visible, std::optional<std::uint64_t> total_bytes)
    : visible_(visible), total_bytes_(total_bytes) {}

void Progress::start(const Tally& tally, std::uint64_t done_bytes) {
  started_ = Clock::now();
  first_lines_ = tally.total();
  first_bytes_ = done_bytes;
}

void Progress::update(const Tally& tally, std::uint64_t done_bytes) {
  if (!visible_ || Clock::now() - drawn_ < std::chrono::milliseconds(200)) return;
  draw(tally, done_bytes);
}

void Progress::finish(const Tally& tally, std::uint64_t done_bytes) {
  if (!visible_) return;
  draw(tally, done_bytes);
  std::fputc('\n', stderr);
}

void Progress::draw(const Tally& tally, std::uint64_t done_bytes) {
  drawn_ = Clock::now();
  const double elapsed = std::max(1e-3, std::chrono::duration<double>(drawn_ - started_).count());
  const double lines = static_cast<double>(tally.total() - first_lines_);
  std::optional<double> fraction, left;
  if (total_bytes_ && *total_bytes_ > 0) {
    const auto total = static_cast<double>(*total_bytes_);
    fraction = static_cast<double>(done_bytes) / total;
    const double speed = static_cast<double>(done_bytes - first_bytes_) / elapsed;
    if (speed > 0) left = std::max(0.0, total - static_cast<double>(done_bytes)) / speed;
  }
  const std::string line = "\r\x1b[K" + progress_line(tally, fraction, lines / elapsed, left);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace qwen3guard::apps
