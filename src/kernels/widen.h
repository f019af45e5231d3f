// 16-bit floats to fp32, one element at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "kernels/kernels.h"

namespace qwen3guard::kernels {

/// As a half float in the KV cache. What is too large becomes NaN: an infinite key could score
/// minus infinity and be overlooked.
inline std::uint16_t cache_f16(std::uint16_t half) {
  return (half & 0x7fffu) == 0x7c00u ? std::uint16_t{0x7e00} : half;
}

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
