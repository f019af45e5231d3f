// Whole-file reads and atomic whole-file writes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// Errors: kNotFound, kIo, kTooLong (larger than `max_bytes`).
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);
/// Temporary file in the same directory, fsync, rename. Errors: kIo, kNotFound (no such directory);
/// the old file is untouched then.
Status write_file_atomically(const std::filesystem::path& path, std::string_view contents);

/// The same piece by piece: nobody sees the file before commit(). A symbolic link at `path` is
/// replaced, not followed. Without commit(), or after an error, destruction removes the temporary
/// file.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::filesystem::path& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  Status write(std::string_view contents);
  Status write(std::span<const std::byte> contents);
  /// Flushes to disk and gives the file its name. REQUIRES: called at most once, no error before.
  Status commit();

 private:
  AtomicFile(std::filesystem::path path, std::filesystem::path temporary, int descriptor);
  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once there is nothing to remove
  int descriptor_ = -1;
};

}  // namespace qwen3guard::bytes
