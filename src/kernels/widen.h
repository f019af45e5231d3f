// 16-bit floats to fp32, one element at a time.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {

inline float widen_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

inline float widen_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Subnormal: mantissa * 2^-24, exact in fp32.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

inline float widen(const std::byte* row, WeightType type, std::size_t i) {
  if (type == WeightType::kF32) {
    float value;
    std::memcpy(&value, row + 4 * i, 4);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, row + 2 * i, 2);
  return type == WeightType::kBF16 ? widen_bf16(bits) : widen_f16(bits);
}

}  // namespace qwen3guard::kernels
