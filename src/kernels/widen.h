// 16-bit floats to fp32, one element at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "kernels/kernels.h"

namespace qwen3guard::kernels {

inline float widen(const std::byte* row, WeightType type, std::size_t i) {
  if (type == WeightType::kF32) {
    float value;
    std::memcpy(&value, row + 4 * i, 4);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, row + 2 * i, 2);
  return type == WeightType::kBF16 ? float_from_bf16(bits) : float_from_f16(bits);
}

}  // namespace qwen3guard::kernels
