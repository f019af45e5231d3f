// Memory for large arrays that are streamed: aligned to cache lines, in huge pages where it is
// large.
#pragma once

#include <cstddef>
#include <memory>

namespace qwen3guard::base {

/// `bytes` of zeros. Aligned to 64 bytes; from 2 MB on to 2 MB, with huge pages asked for (a
/// sequential read of gigabytes otherwise spends much of its time on page-table walks).
std::shared_ptr<std::byte[]> allocate_zeroed(std::size_t bytes);

}  // namespace qwen3guard::base
