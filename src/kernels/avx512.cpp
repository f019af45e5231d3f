// AVX-512 F. Compiled with that flag for this file only; runs only where the CPU has it.

#include "kernels/kernels.h"

#if defined(__AVX512F__)

#include <immintrin.h>

#include <cmath>

#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

struct V {
  using Reg = __m512;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kTokens = 6;  // 4 rows x 6 tokens: 24 of 32 registers accumulate

  static Reg zero() { return _mm512_setzero_ps(); }
  static Reg set1(float value) { return _mm512_set1_ps(value); }
  static Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Reg v) { _mm512_storeu_ps(p, v); }
  static Reg load_bf16(const std::byte* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static Reg load_f16(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static float fma_one(float a, float b, float c) { return std::fma(a, b, c); }
  static float sum(Reg v) {
    const __m256 low = _mm512_castps512_ps256(v);
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
    const __m256 eight = _mm256_add_ps(low, high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

#include "kernels/vector-inl.h"

}  // namespace

const Kernels* avx512_kernels() {
  static constexpr Kernels table = {"avx512", matmul, rms_norm, score_keys, add_values, silu_mul};
  return __builtin_cpu_supports("avx512f") != 0 ? &table : nullptr;
}

}  // namespace qwen3guard::kernels

#else

namespace qwen3guard::kernels {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace qwen3guard::kernels

#endif
