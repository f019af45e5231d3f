// 16-bit floats: fp16 (IEEE 754 binary16) and bf16 (the upper half of an fp32).
#pragma once

#include <bit>
#include <cstdint>

namespace qwen3guard {

inline float float_from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Exact; infinities and NaN stay what they are.
inline float float_from_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude << 13));
  // The shifted bits are a float whose exponent is too small by the difference of the biases, 112.
  // Multiplying by 2^112 is exact, for subnormal numbers too.
  return std::bit_cast<float>(sign | (magnitude << 13)) * 0x1p112f;
}

/// To the nearest, ties to even; 65520 and more become infinite.
inline std::uint16_t f16_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    magnitude = 0x7e00u;  // NaN
  } else if (magnitude >= 0x477ff000u) {
    magnitude = 0x7c00u;
  } else if (magnitude < 0x38800000u) {
    // Subnormal: next to 0.5 the last place of an fp32 is 2^-24, that of a subnormal fp16.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    magnitude = std::bit_cast<std::uint32_t>(rounded) - 0x3f000000u;
  } else {
    magnitude += 0xfffu + ((magnitude >> 13) & 1u);
    magnitude = (magnitude - 0x38000000u) >> 13;
  }
  return static_cast<std::uint16_t>(sign | magnitude);
}

}  // namespace qwen3guard
