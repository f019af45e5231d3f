#include "base/aligned_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace qwen3guard::base {

std::shared_ptr<std::byte[]> allocate_zeroed(std::size_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const auto alignment = std::align_val_t{bytes < kHugePage ? 64 : kHugePage};
  auto* memory = static_cast<std::byte*>(::operator new(bytes, alignment));
#ifdef MADV_HUGEPAGE
  // Refused where the kernel has none: small pages are right, only slower.
  if (bytes >= kHugePage) (void)::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  std::memset(memory, 0, bytes);
  return {memory, [alignment](std::byte* p) { ::operator delete(p, alignment); }};
}

}  // namespace qwen3guard::base
