// What every test body of kernels runs over.
#pragma once

#include <limits>
#include <vector>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {

inline constexpr float kEpsilon = std::numeric_limits<float>::epsilon();

/// Every table that this processor can run, the scalar one included.
inline std::vector<const Kernels*> tables() {
  return {available_kernels().begin(), available_kernels().end()};
}

}  // namespace qwen3guard::kernels
