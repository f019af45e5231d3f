// AVX-512 F. Compiled with that flag for this file only; runs only where the CPU has it.

#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/kernels.h"
#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

struct V {
  using Reg = __m512;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kTokens = 6;    // 4 rows x 6 tokens: 24 of 32 registers accumulate
  static constexpr int kAttentionQueries = 8;  // times 2 vectors

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
  static void store_f16(std::uint16_t* p, Reg v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg div(Reg a, Reg b) { return _mm512_div_ps(a, b); }
  static Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static Reg round(Reg v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT); }
  static Reg scale_by_power(Reg v, Reg k) { return _mm512_scalef_ps(v, k); }
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
  if (__builtin_cpu_supports("avx512f") == 0 || avx2_kernels() == nullptr) return nullptr;
  // Without VNNI the wider registers gain nothing on bytes.
  static const Kernels table = {"avx512",
                                matmul,
                                rms_norm,
                                store_kv,
                                score_keys,
                                add_values,
                                softmax_scores,
                                silu_mul,
                                avx2_kernels()->quantize,
                                avx2_kernels()->matmul_packed};
  return &table;
}

}  // namespace qwen3guard::kernels
