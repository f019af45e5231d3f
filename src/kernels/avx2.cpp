// AVX2 + FMA + F16C. Compiled with those flags for this file only; runs only where the CPU has
// them.

#include "kernels/kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <cpuid.h>
#include <immintrin.h>

#include <cmath>

#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

struct V {
  using Reg = __m256;
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kTokens = 3;  // 4 rows x 3 tokens: 12 of 16 registers accumulate

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
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static float fma_one(float a, float b, float c) { return std::fma(a, b, c); }
  static float sum(Reg v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

#include "kernels/vector-inl.h"

/// F16C by hand: clang 14 has no name for it in __builtin_cpu_supports.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace

const Kernels* avx2_kernels() {
  static constexpr Kernels table = {"avx2", matmul, rms_norm, score_keys, add_values, silu_mul};
  const bool runs =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c();
  return runs ? &table : nullptr;
}

}  // namespace qwen3guard::kernels

#else

namespace qwen3guard::kernels {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace qwen3guard::kernels

#endif
