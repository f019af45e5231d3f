// The gateway as a process of its own, seen from outside.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::bench {

/// What the kernel says of a process now.
struct Usage {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t peak_bytes = 0;  // since it began
  std::size_t open_files = 0;
  std::size_t threads = 0;
};
Result<Usage> usage_of(pid_t process);

/// Allows this process and its children as many open files as the system lets it; how many that is.
std::size_t raise_file_limit();

/// A child that listens on a port of its choice. Ends with this object.
class Gateway {
 public:
  /// Waits until it listens. Its log goes to `log`. Errors: it ended, and where it said why.
  static Result<Gateway> start(const std::vector<std::string>& command, const std::string& log);
  Gateway(Gateway&& other) noexcept
      : process_(std::exchange(other.process_, -1)), port_(other.port_) {}
  Gateway& operator=(Gateway&&) = delete;
  ~Gateway();

  std::uint16_t port() const { return port_; }
  Result<Usage> usage() const { return usage_of(process_); }

 private:
  Gateway(pid_t process, std::uint16_t port) : process_(process), port_(port) {}
  pid_t process_;
  std::uint16_t port_;
};

/// The first line that a command writes; empty if it cannot run.
std::string first_line_of(const std::vector<std::string>& command);

}  // namespace qwen3guard::bench
