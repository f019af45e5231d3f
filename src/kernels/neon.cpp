// NEON with dot products (ARMv8.2-A). Compiled with that flag for this file only; runs only where
// the CPU has them.

#include <arm_neon.h>
#include <sys/auxv.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/kernels.h"
#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

inline float32x4_t load_halves(const std::uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

struct V {
  using Reg = float32x4_t;
  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kTokens = 6;    // 4 rows x 6 tokens: 24 of 32 registers accumulate
  static constexpr int kAttentionQueries = 8;  // times 2 vectors

  static Reg zero() { return vdupq_n_f32(0.0f); }
  static Reg set1(float value) { return vdupq_n_f32(value); }
  static Reg load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, Reg v) { vst1q_f32(p, v); }
  static Reg load_bf16(const std::byte* p) {
    const uint16x4_t bits = vld1_u16(reinterpret_cast<const std::uint16_t*>(p));
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(bits), 16));
  }
  static Reg load_f16(const std::byte* p) {
    return load_halves(reinterpret_cast<const std::uint16_t*>(p));
  }
  static void store_f16(std::uint16_t* p, Reg v) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
  }
  static Reg add(Reg a, Reg b) { return vaddq_f32(a, b); }
  static Reg mul(Reg a, Reg b) { return vmulq_f32(a, b); }
  static Reg div(Reg a, Reg b) { return vdivq_f32(a, b); }
  static Reg min(Reg a, Reg b) { return vminq_f32(a, b); }
  static Reg max(Reg a, Reg b) { return vmaxq_f32(a, b); }
  static Reg round(Reg v) { return vrndnq_f32(v); }
  // In two halves, so that a subnormal result needs no exponent that fp32 lacks.
  static Reg scale_by_power(Reg v, Reg k) {
    const int32x4_t whole = vcvtq_s32_f32(k);
    const int32x4_t half = vshrq_n_s32(whole, 1);
    const auto power = [](int32x4_t e) {
      return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(e, vdupq_n_s32(127)), 23));
    };
    return mul(mul(v, power(half)), power(vsubq_s32(whole, half)));
  }
  static Reg fma(Reg a, Reg b, Reg c) { return vfmaq_f32(c, a, b); }
  static float fma_one(float a, float b, float c) { return std::fma(a, b, c); }
  static float sum(Reg v) { return vaddvq_f32(v); }
};

#include "kernels/vector-inl.h"

constexpr std::size_t kGroups = kBlockColumns / 4;
constexpr std::size_t kQuarterRows = 4;  // rows of a tile whose sums fill one register
constexpr std::size_t kQuarters = kTileRows / kQuarterRows;

// One block of a tile's quarter as signed bytes: kQ8 values, or kQ4 values plus 8, which the
// activations' bias takes back.
template <PackedType type>
inline void load_quarter(const std::uint8_t* block, std::size_t quarter, int8x16_t* groups) {
  const std::uint8_t* rows = block + quarter * kQuarterRows * 4;
  if constexpr (type == PackedType::kQ8) {
    for (std::size_t g = 0; g < kGroups; ++g)
      groups[g] = vreinterpretq_s8_u8(vld1q_u8(rows + 64 * g));
  } else {
    for (std::size_t g = 0; g < kGroups; g += 2) {
      const uint8x16_t both = vld1q_u8(rows + 32 * g);
      groups[g] = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(0x0f)));
      groups[g + 1] = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
    }
  }
}

// Adds the products with one token's 32 activations. The instruction takes the four activations of
// a group from a lane, so none is broadcast; the lane has to be a constant.
inline int32x4_t add_products(int32x4_t sums, const int8x16_t* groups, const std::int8_t* values) {
  const int8x16_t low = vld1q_s8(values), high = vld1q_s8(values + 16);
  sums = vdotq_laneq_s32(sums, groups[0], low, 0);
  sums = vdotq_laneq_s32(sums, groups[1], low, 1);
  sums = vdotq_laneq_s32(sums, groups[2], low, 2);
  sums = vdotq_laneq_s32(sums, groups[3], low, 3);
  sums = vdotq_laneq_s32(sums, groups[4], high, 0);
  sums = vdotq_laneq_s32(sums, groups[5], high, 1);
  sums = vdotq_laneq_s32(sums, groups[6], high, 2);
  return vdotq_laneq_s32(sums, groups[7], high, 3);
}

// One tile of 16 rows times T tokens. Each block of weights is unpacked once for all of them.
template <PackedType type, int T>
inline void tile_times_tokens(const std::uint8_t* tile, const std::uint16_t* scales,
                              std::size_t blocks, const QuantizedRows& x, std::size_t first,
                              std::size_t rows, float* out, std::size_t out_stride) {
  constexpr std::size_t kBytes = type == PackedType::kQ8 ? 512 : 256;
  float32x4_t totals[T][kQuarters];
  for (auto& token : totals) std::fill_n(token, kQuarters, vdupq_n_f32(0.0f));
  for (std::size_t b = 0; b < blocks; ++b) {
    for (std::size_t h = 0; h < kQuarters; ++h) {
      int8x16_t groups[kGroups];
      load_quarter<type>(tile + b * kBytes, h, groups);
      const float32x4_t scale = load_halves(scales + b * kTileRows + h * kQuarterRows);
      for (int t = 0; t < T; ++t) {
        const std::size_t token = first + static_cast<std::size_t>(t);
        const std::int32_t bias = type == PackedType::kQ8 ? 0 : x.bias_q4[token * blocks + b];
        const int32x4_t sums = add_products(vdupq_n_s32(bias), groups,
                                            x.values + token * x.columns + b * kBlockColumns);
        totals[t][h] = vfmaq_n_f32(totals[t][h], vmulq_f32(vcvtq_f32_s32(sums), scale),
                                   x.scales[token * blocks + b]);
      }
    }
  }
  for (int t = 0; t < T; ++t) {
    float all[kTileRows];
    for (std::size_t h = 0; h < kQuarters; ++h) vst1q_f32(all + h * kQuarterRows, totals[t][h]);
    std::copy_n(all, rows, out + (first + static_cast<std::size_t>(t)) * out_stride);
  }
}

template <PackedType type>
void matmul_tiles(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                  const QuantizedRows& x, std::size_t tokens, float* out, std::size_t out_stride) {
  for (std::size_t tile = tile_begin; tile < tile_end; ++tile) {
    const std::size_t row = tile * kTileRows;
    const auto run = [&]<int T>(std::size_t first) {
      tile_times_tokens<type, T>(weights.tile(tile), weights.tile_scales(tile), weights.blocks(), x,
                                 first, std::min(kTileRows, weights.rows - row), out + row,
                                 out_stride);
    };
    std::size_t t = 0;
    // 4 tokens: 16 registers of totals beside the 8 of weights.
    for (; t + 4 <= tokens; t += 4) run.template operator()<4>(t);
    if (t + 2 <= tokens) run.template operator()<2>(t), t += 2;
    if (t < tokens) run.template operator()<1>(t);
  }
}

void matmul_packed(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                   const QuantizedRows& x, std::size_t tokens, float* out, std::size_t out_stride) {
  if (weights.type == PackedType::kQ8) {
    matmul_tiles<PackedType::kQ8>(weights, tile_begin, tile_end, x, tokens, out, out_stride);
  } else {
    matmul_tiles<PackedType::kQ4>(weights, tile_begin, tile_end, x, tokens, out, out_stride);
  }
}

void quantize(const float* x, std::size_t n, std::int8_t* values, float* scales,
              std::int32_t* bias_q8, std::int32_t* bias_q4) {
  constexpr std::size_t kParts = kBlockColumns / 4;
  for (std::size_t b = 0; b < n / kBlockColumns; ++b) {
    float32x4_t parts[kParts];
    // Bits, not values, are compared: NaN and infinity are larger than any finite magnitude.
    uint32x4_t largest_bits = vdupq_n_u32(0);
    for (std::size_t i = 0; i < kParts; ++i) {
      parts[i] = vld1q_f32(x + b * kBlockColumns + 4 * i);
      largest_bits = vmaxq_u32(largest_bits, vreinterpretq_u32_f32(vabsq_f32(parts[i])));
    }
    const float largest = std::bit_cast<float>(vmaxvq_u32(largest_bits));
    const float inverse = inverse_scale(largest);
    scales[b] = largest / 127.0f;
    int32x4_t sums = vdupq_n_s32(0);
    int16x4_t narrow[kParts];
    for (std::size_t i = 0; i < kParts; ++i) {
      const float32x4_t scaled = vmulq_n_f32(parts[i], inverse);
      const int32x4_t whole =  // NaN would convert to 0
          vbslq_s32(vceqq_f32(scaled, scaled), vcvtnq_s32_f32(scaled), vdupq_n_s32(-127));
      sums = vaddq_s32(sums, whole);
      narrow[i] = vmovn_s32(whole);
    }
    for (std::size_t i = 0; i < kParts; i += 2) {
      vst1_s8(values + b * kBlockColumns + 4 * i,
              vmovn_s16(vcombine_s16(narrow[i], narrow[i + 1])));
    }
    const std::int32_t sum = vaddvq_s32(sums);
    bias_q8[b] = -128 * sum;
    bias_q4[b] = -8 * sum;
  }
}

}  // namespace

const Kernels* neon_kernels() {
  static constexpr Kernels table = {"neon",     matmul,         rms_norm, store_kv, score_keys,
                                    add_values, softmax_scores, silu_mul, quantize, matmul_packed};
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? &table : nullptr;
}

}  // namespace qwen3guard::kernels
