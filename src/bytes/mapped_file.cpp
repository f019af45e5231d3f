#include "bytes/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>

#include "bytes/regular_file.h"
#include "bytes/system_error.h"

namespace qwen3guard::bytes {

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  auto file = RegularFile::open(path);
  if (!file.ok()) return std::move(file).error();
  const std::uint64_t size = file->size();
  if (size == 0) return MappedFile(nullptr, 0);  // mmap refuses empty mappings
  if (size > std::numeric_limits<std::size_t>::max()) return system_error("map", path, EFBIG);

  void* address = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE,
                         file->descriptor(), 0);
  if (address == MAP_FAILED) return system_error("map", path, errno);
  return MappedFile(static_cast<const std::byte*>(address), static_cast<std::size_t>(size));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  // munmap takes a plain pointer; the mapping itself is read-only.
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void release_pages(std::span<const std::byte> mapped) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::uintptr_t begin = (first + page - 1) / page * page;
  const std::uintptr_t end = (first + mapped.size()) / page * page;
  // A private mapping that was never written: the pages are the file's, nothing is lost.
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace qwen3guard::bytes
