// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// Owns the mapping; move-only. The bytes stay valid as long as the object lives. A file that is
/// cut short by somebody else while it is mapped raises SIGBUS: checkpoints must not be edited in
/// place.
class MappedFile {
 public:
  /// Errors: kNotFound, kIo (with the operating system's reason).
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Gives the whole pages of a part of a mapped file back to the system: for bytes that were copied
/// elsewhere. They stay readable, from the file again.
void release_pages(std::span<const std::byte> mapped);

}  // namespace qwen3guard::bytes
