// AVX-512 with VNNI: the AVX-512 table with integer products of its own. Compiled with those flags
// for this file only; runs only where the CPU has them.

#include <immintrin.h>

#include <algorithm>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {
namespace {

constexpr std::size_t kGroups = kBlockColumns / 4;

// The eight groups of one block of a tile as unsigned bytes: kQ8 values plus 128, kQ4 values
// plus 8. The activations' bias takes that back.
template <PackedType type>
inline void load_block(const std::uint8_t* block, __m512i* groups) {
  if constexpr (type == PackedType::kQ8) {
    const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
    for (std::size_t g = 0; g < kGroups; ++g)
      groups[g] = _mm512_xor_si512(_mm512_loadu_si512(block + 64 * g), flip);
  } else {
    const __m512i low = _mm512_set1_epi8(0x0f);
    for (std::size_t g = 0; g < kGroups; g += 2) {
      const __m512i both = _mm512_loadu_si512(block + 32 * g);
      groups[g] = _mm512_and_si512(both, low);
      groups[g + 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
    }
  }
}

// One tile of 16 rows times T tokens. Each block of weights is unpacked once for all of them.
template <PackedType type, int T>
inline void tile_times_tokens(const std::uint8_t* tile, const std::uint16_t* scales,
                              std::size_t blocks, const QuantizedRows& x, std::size_t first,
                              __mmask16 rows, float* out, std::size_t out_stride) {
  const std::int32_t* bias = type == PackedType::kQ8 ? x.bias_q8 : x.bias_q4;
  constexpr std::size_t kBytes = type == PackedType::kQ8 ? 512 : 256;
  __m512 sums[T];
  for (int t = 0; t < T; ++t) sums[t] = _mm512_setzero_ps();
  for (std::size_t b = 0; b < blocks; ++b) {
    __m512i groups[kGroups];
    prefetch_block(tile + b * kBytes, kBytes);
    load_block<type>(tile + b * kBytes, groups);
    const __m512 scale = _mm512_cvtph_ps(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales + b * kTileRows)));
    for (int t = 0; t < T; ++t) {
      const std::size_t token = first + static_cast<std::size_t>(t);
      const std::int8_t* values = x.values + token * x.columns + b * kBlockColumns;
      __m512i products = _mm512_set1_epi32(bias[token * blocks + b]);
      for (std::size_t g = 0; g < kGroups; ++g) {
        products =
            _mm512_dpbusd_epi32(products, groups[g], _mm512_set1_epi32(load_four(values + 4 * g)));
      }
      sums[t] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(products), scale),
                                _mm512_set1_ps(x.scales[token * blocks + b]), sums[t]);
    }
  }
  for (int t = 0; t < T; ++t)
    _mm512_mask_storeu_ps(out + (first + static_cast<std::size_t>(t)) * out_stride, rows, sums[t]);
}

template <PackedType type>
void matmul_tiles(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                  const QuantizedRows& x, std::size_t tokens, float* out, std::size_t out_stride) {
  const std::size_t blocks = weights.blocks();
  for (std::size_t tile = tile_begin; tile < tile_end; ++tile) {
    const std::size_t row = tile * kTileRows;
    const auto rows = static_cast<__mmask16>((1u << std::min(kTileRows, weights.rows - row)) - 1);
    const auto run = [&]<int T>(std::size_t first) {
      tile_times_tokens<type, T>(weights.tile(tile), weights.tile_scales(tile), blocks, x, first,
                                 rows, out + row, out_stride);
    };
    std::size_t t = 0;
    for (; t + 16 <= tokens; t += 16) run.template operator()<16>(t);
    if (t + 8 <= tokens) run.template operator()<8>(t), t += 8;
    if (t + 4 <= tokens) run.template operator()<4>(t), t += 4;
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
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  for (std::size_t b = 0; b < n / kBlockColumns; ++b) {
    const __m512 low = _mm512_loadu_ps(x + b * kBlockColumns);
    const __m512 high = _mm512_loadu_ps(x + b * kBlockColumns + 16);
    const std::uint32_t bits = _mm512_reduce_max_epu32(
        _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                         _mm512_and_si512(_mm512_castps_si512(high), magnitude)));
    const float largest =
        _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(bits))));
    const __m512 inverse = _mm512_set1_ps(inverse_scale(largest));
    scales[b] = largest / 127.0f;
    const __m512i smallest = _mm512_set1_epi32(-127);  // NaN converts to the smallest integer
    const __m512i low_values =
        _mm512_max_epi32(smallest, _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)));
    const __m512i high_values =
        _mm512_max_epi32(smallest, _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse)));
    auto* to = reinterpret_cast<__m128i*>(values + b * kBlockColumns);
    _mm_storeu_si128(to, _mm512_cvtsepi32_epi8(low_values));
    _mm_storeu_si128(to + 1, _mm512_cvtsepi32_epi8(high_values));
    const int sum = _mm512_reduce_add_epi32(_mm512_add_epi32(low_values, high_values));
    bias_q8[b] = -128 * sum;
    bias_q4[b] = -8 * sum;
  }
}

bool runs_here() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
}

}  // namespace

const Kernels* avx512vnni_kernels() {
  if (!runs_here() || avx512_kernels() == nullptr) return nullptr;
  static const Kernels table = [] {
    Kernels kernels = *avx512_kernels();
    kernels.name = "avx512vnni";
    kernels.quantize = quantize;
    kernels.matmul_packed = matmul_packed;
    return kernels;
  }();
  return &table;
}

}  // namespace qwen3guard::kernels
