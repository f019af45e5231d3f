#include "apps/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"

namespace qwen3guard::apps {
namespace {

constexpr std::size_t kBufferBytes = 64u << 10;

}  // namespace

Output Output::standard_output() { return Output(STDOUT_FILENO, "standard output"); }

Output::Output(Output&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      name_(std::move(other.name_)),
      buffer_(std::move(other.buffer_)) {}

Output::~Output() {
  if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
}

Error Output::system_error(int number) const {
  std::string message = "cannot write " + name_ + ": " + std::generic_category().message(number);
  if (number == ENOSPC || number == EDQUOT)
    message += "; free some space, then continue with --resume";
  return {ErrorCode::kIo, std::move(message)};
}

Status Output::write(std::string_view text) {
  buffer_ += text;
  return buffer_.size() >= kBufferBytes ? flush() : Status();
}

Status Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    // What was not written stays buffered, so that the next call fails as well.
    if (written < 0) {
      const Error error = system_error(errno);
      buffer_.erase(0, buffer_.size() - rest.size());
      return error;
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return {};
}

Status Output::close() {
  QG_CHECK_OK(flush());
  // Pipes, terminals and devices cannot be synchronised and say so in several ways.
  if (::fsync(descriptor_) != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT)) {
    return system_error(errno);
  }
  if (descriptor_ > STDERR_FILENO && ::close(std::exchange(descriptor_, -1)) != 0) {
    return system_error(errno);
  }
  return {};
}

}  // namespace qwen3guard::apps
