// An open descriptor of a regular file (private to bytes/).
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "bytes/system_error.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

class RegularFile {
 public:
  /// Opens for reading. Directories, pipes and devices are refused: the first cannot be read, the
  /// others have no size and can block for ever.
  static Result<RegularFile> open(const std::filesystem::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return system_error("open", path, errno);
    RegularFile file(descriptor);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) return system_error("read", path, errno);
    if (S_ISDIR(status.st_mode)) return system_error("read", path, EISDIR);
    if (!S_ISREG(status.st_mode)) {
      return Error{ErrorCode::kIo, "cannot read " + quote_path(path) +
                                       ": it is a pipe or a device, expected a regular file"};
    }
    file.size_ = static_cast<std::uint64_t>(status.st_size);
    return file;
  }

  RegularFile(RegularFile&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}
  RegularFile& operator=(RegularFile&&) = delete;
  ~RegularFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  int descriptor() const { return descriptor_; }
  std::uint64_t size() const { return size_; }

 private:
  explicit RegularFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
  std::uint64_t size_ = 0;
};

}  // namespace qwen3guard::bytes
