// AVX2 + FMA + F16C. Compiled with those flags for this file only; runs only where the CPU has
// them.

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/kernels.h"
#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

struct V {
  using Reg = __m256;
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kTokens = 3;    // 4 rows x 3 tokens: 12 of 16 registers accumulate
  static constexpr int kAttentionQueries = 4;  // times 2 vectors

  static Reg zero() { return _mm256_setzero_ps(); }
  static Reg set1(float value) { return _mm256_set1_ps(value); }
  static Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Reg v) { _mm256_storeu_ps(p, v); }
  static Reg load_bf16(const std::byte* p) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static Reg load_f16(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static void store_f16(std::uint16_t* p, Reg v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg div(Reg a, Reg b) { return _mm256_div_ps(a, b); }
  static Reg min(Reg a, Reg b) { return _mm256_min_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  static Reg round(Reg v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // In two halves, so that a subnormal result needs no exponent that fp32 lacks.
  static Reg scale_by_power(Reg v, Reg k) {
    const __m256i whole = _mm256_cvtps_epi32(k);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    const auto power = [](__m256i e) {
      return _mm256_castsi256_ps(
          _mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
    };
    return mul(mul(v, power(half)), power(_mm256_sub_epi32(whole, half)));
  }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static float fma_one(float a, float b, float c) { return std::fma(a, b, c); }
  static float sum(Reg v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

#include "kernels/vector-inl.h"

constexpr std::size_t kGroups = kBlockColumns / 4;

// Sums of a block's products for eight rows, four adjacent products a lane.
inline __m256i widen_pairs(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

inline __m256i broadcast_four(const std::int8_t* values) {
  return _mm256_set1_epi32(load_four(values));
}

// The integer sums of one block for a tile's rows 0 … 7 and 8 … 15. maddubs wants one operand
// unsigned: the sign of an 8-bit weight moves to the activation (|w| <= 127, so that a pair fits 16
// bits); a 4-bit weight is unsigned as stored, and a whole block of them fits 16 bits.
template <PackedType type>
inline void block_sums(const std::uint8_t* block, const std::int8_t* values, std::int32_t bias,
                       __m256i sums[2]) {
  const auto* halves = reinterpret_cast<const __m256i*>(block);
  if constexpr (type == PackedType::kQ8) {
    sums[0] = sums[1] = _mm256_setzero_si256();
    for (std::size_t g = 0; g < kGroups; ++g) {
      const __m256i x = broadcast_four(values + 4 * g);
      for (int h = 0; h < 2; ++h) {
        const __m256i w = _mm256_loadu_si256(halves + 2 * g + static_cast<std::size_t>(h));
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
        sums[h] = _mm256_add_epi32(sums[h], widen_pairs(pairs));
      }
    }
  } else {
    const __m256i low = _mm256_set1_epi8(0x0f);
    __m256i pairs[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (std::size_t g = 0; g < kGroups; g += 2) {
      const __m256i first = broadcast_four(values + 4 * g);
      const __m256i second = broadcast_four(values + 4 * g + 4);
      for (int h = 0; h < 2; ++h) {
        const __m256i both = _mm256_loadu_si256(halves + g + static_cast<std::size_t>(h));
        const __m256i even = _mm256_and_si256(both, low);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
        pairs[h] = _mm256_add_epi16(pairs[h], _mm256_maddubs_epi16(even, first));
        pairs[h] = _mm256_add_epi16(pairs[h], _mm256_maddubs_epi16(odd, second));
      }
    }
    for (int h = 0; h < 2; ++h)
      sums[h] = _mm256_add_epi32(widen_pairs(pairs[h]), _mm256_set1_epi32(bias));
  }
}

template <PackedType type>
void matmul_tiles(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                  const QuantizedRows& x, std::size_t tokens, float* out, std::size_t out_stride) {
  constexpr std::size_t kBytes = type == PackedType::kQ8 ? 512 : 256;
  const std::size_t blocks = weights.blocks();
  for (std::size_t tile = tile_begin; tile < tile_end; ++tile) {
    const std::uint8_t* values = weights.tile(tile);
    const std::uint16_t* scales = weights.tile_scales(tile);
    const std::size_t rows = std::min(kTileRows, weights.rows - tile * kTileRows);
    for (std::size_t t = 0; t < tokens; ++t) {
      __m256 totals[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
      for (std::size_t b = 0; b < blocks; ++b) {
        __m256i sums[2];
        block_sums<type>(values + b * kBytes, x.values + t * x.columns + b * kBlockColumns,
                         x.bias_q4[t * blocks + b], sums);
        const __m256 x_scale = _mm256_set1_ps(x.scales[t * blocks + b]);
        for (std::size_t h = 0; h < 2; ++h) {
          const __m256 scale = _mm256_cvtph_ps(
              _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + b * kTileRows + 8 * h)));
          totals[h] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[h]), scale), x_scale,
                                      totals[h]);
        }
      }
      float both[kTileRows];
      _mm256_storeu_ps(both, totals[0]);
      _mm256_storeu_ps(both + 8, totals[1]);
      std::copy_n(both, rows, out + t * out_stride + tile * kTileRows);
    }
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

std::uint32_t largest_lane(__m256i v) {
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
}

void quantize(const float* x, std::size_t n, std::int8_t* values, float* scales,
              std::int32_t* bias_q8, std::int32_t* bias_q4) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  for (std::size_t b = 0; b < n / kBlockColumns; ++b) {
    __m256 parts[4];
    __m256i largest_bits = _mm256_setzero_si256();
    for (std::size_t i = 0; i < 4; ++i) {
      parts[i] = _mm256_loadu_ps(x + b * kBlockColumns + 8 * i);
      largest_bits = _mm256_max_epu32(largest_bits,
                                      _mm256_and_si256(_mm256_castps_si256(parts[i]), magnitude));
    }
    const float largest = std::bit_cast<float>(largest_lane(largest_bits));
    const __m256 inverse = _mm256_set1_ps(inverse_scale(largest));
    scales[b] = largest / 127.0f;
    __m256i whole[4];
    for (std::size_t i = 0; i < 4; ++i)
      // NaN converts to the smallest integer.
      whole[i] = _mm256_max_epi32(_mm256_set1_epi32(-127),
                                  _mm256_cvtps_epi32(_mm256_mul_ps(parts[i], inverse)));
    // Packing interleaves the 128-bit halves; the permutation puts the columns back in order.
    const __m256i bytes =
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]),
                                                       _mm256_packs_epi32(whole[2], whole[3])),
                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + b * kBlockColumns), bytes);
    int sum = 0;
    for (std::size_t i = b * kBlockColumns; i < (b + 1) * kBlockColumns; ++i) sum += values[i];
    bias_q8[b] = -128 * sum;
    bias_q4[b] = -8 * sum;
  }
}

/// F16C by hand: clang 14 has no name for it in __builtin_cpu_supports.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace

const Kernels* avx2_kernels() {
  static constexpr Kernels table = {"avx2",     matmul,         rms_norm, store_kv, score_keys,
                                    add_values, softmax_scores, silu_mul, quantize, matmul_packed};
  const bool runs =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c();
  return runs ? &table : nullptr;
}

}  // namespace qwen3guard::kernels
