#include "bytes/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "base/try.h"
#include "bytes/regular_file.h"
#include "bytes/system_error.h"

namespace qwen3guard::bytes {
namespace {

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

/// Makes the rename itself durable. Some file systems cannot sync a directory (EINVAL): that is
/// theirs.
Status sync_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (descriptor < 0) return {};  // a directory may be writable without being readable
  const int failure = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failure != 0 && failure != EINVAL) return system_error("flush", directory, failure);
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  QG_TRY(const RegularFile file, RegularFile::open(path));
  const auto too_long = [&](std::uint64_t size) {
    return Error{ErrorCode::kTooLong, quote_path(path) + " has " + byte_count(size) +
                                          ", expected at most " + byte_count(max_bytes) +
                                          "; is it the right file?"};
  };
  if (file.size() > max_bytes) return too_long(file.size());

  // Reads to the end rather than to size(): files under /proc say 0, and a file may grow meanwhile.
  std::string contents(static_cast<std::size_t>(file.size()), '\0');
  std::size_t filled = 0;
  while (true) {
    if (filled == contents.size()) {
      if (filled > max_bytes) return too_long(filled);
      contents.resize(filled + std::min<std::size_t>(max_bytes - filled, 64u << 10) + 1);
    }
    const ssize_t got =
        ::read(file.descriptor(), contents.data() + filled, contents.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read", path, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  if (filled > max_bytes) return too_long(filled);
  contents.resize(filled);
  return contents;
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  QG_TRY(AtomicFile file, AtomicFile::create(path));
  QG_CHECK_OK(file.write(contents));
  return file.commit();
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path) {
  if (!path.has_filename()) {
    return Error{ErrorCode::kInvalidArgument,
                 "cannot write " + quote_path(path) + ": it names no file"};
  }
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  // rename() would notice only after everything has been written.
  if (exists && S_ISDIR(status.st_mode)) return system_error("write", path, EISDIR);

  // The process id and a counter keep concurrent writers apart; O_EXCL notices a left-over of the
  // same name.
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::filesystem::path temporary =
        directory_of(path) / ("." + path.filename().native() + "." + std::to_string(::getpid()) +
                              "." + std::to_string(counter.fetch_add(1)) + ".tmp");
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno == EEXIST) continue;
    if (descriptor < 0) return system_error("write", path, errno);
    AtomicFile file(path, std::move(temporary), descriptor);
    // A replaced file keeps its permissions; a file system without permissions may refuse,
    // harmlessly.
    if (exists && S_ISREG(status.st_mode)) (void)::fchmod(descriptor, status.st_mode & 07777);
    return file;
  }
  return Error{ErrorCode::kIo,
               "cannot write " + quote_path(path) +
                   ": too many temporary files beside it; remove the ones that end in .tmp"};
}

AtomicFile::AtomicFile(std::filesystem::path path, std::filesystem::path temporary, int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::string_view contents) {
  return write(std::as_bytes(std::span(contents.data(), contents.size())));
}

Status AtomicFile::write(std::span<const std::byte> contents) {
  QG_CHECK(descriptor_ >= 0);
  while (!contents.empty()) {
    // Linux writes at most 2 GB at once.
    const std::size_t piece = std::min<std::size_t>(contents.size(), 1u << 30);
    const ssize_t done = ::write(descriptor_, contents.data(), piece);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error("write", path_, errno);
    contents = contents.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Status AtomicFile::commit() {
  QG_CHECK(descriptor_ >= 0);
  if (::fsync(descriptor_) != 0) return system_error("write", path_, errno);
  // Network file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0) return system_error("write", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return system_error("write", path_, errno);
  temporary_.clear();
  return sync_directory(directory_of(path_));
}

}  // namespace qwen3guard::bytes
