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

/// To the nearest half float, ties to even; overflow gives infinity.
inline std::uint16_t narrow_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffffu);
  if (!(magnitude < 65520.0f))  // rounds to infinity, or is NaN
    return static_cast<std::uint16_t>(sign | (magnitude == magnitude ? 0x7c00u : 0x7e00u));
  if (magnitude <
      0x1p-14f)  // subnormal: the sum's rounding to multiples of 2^-24 is the one wanted
    return static_cast<std::uint16_t>(sign |
                                      (std::bit_cast<std::uint32_t>(magnitude + 0.5f) & 0x7ffu));
  const std::uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + ((bits >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
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
