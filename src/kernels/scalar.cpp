// The scalar reference, and the few loops that need nothing faster.

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

void matmul(const Matrix& weights, std::size_t row_begin, std::size_t row_end, const float* x,
            std::size_t tokens, float* out, std::size_t out_stride) {
  const std::size_t n = weights.columns;
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t r = row_begin; r < row_end; ++r) {
      const std::byte* row = weights.row(r);
      float sum = 0.0f;
      for (std::size_t i = 0; i < n; ++i) sum += x[t * n + i] * widen(row, weights.type, i);
      out[t * out_stride + r] = sum;
    }
  }
}

void rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* out) {
  float squares = 0.0f;
  for (std::size_t i = 0; i < n; ++i) squares += x[i] * x[i];
  const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(n) + epsilon);
  for (std::size_t i = 0; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}

void score_keys(const float* query, const float* keys, std::size_t count, std::size_t n,
                float scale, float* scores) {
  for (std::size_t j = 0; j < count; ++j) {
    float sum = 0.0f;
    for (std::size_t i = 0; i < n; ++i) sum += query[i] * keys[j * n + i];
    scores[j] = sum * scale;
  }
}

void add_values(const float* weights, const float* values, std::size_t count, std::size_t n,
                float* out) {
  for (std::size_t j = 0; j < count; ++j) {
    for (std::size_t i = 0; i < n; ++i) out[i] += weights[j] * values[j * n + i];
  }
}

void silu_mul(float* gate, const float* up, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

}  // namespace

const Kernels& scalar_kernels() {
  static constexpr Kernels table = {"scalar", matmul, rms_norm, score_keys, add_values, silu_mul};
  return table;
}

void widen_row(const std::byte* row, WeightType type, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = widen(row, type, i);
}

void rope(float* x, const float* cosines, const float* sines, std::size_t n) {
  const std::size_t half = n / 2;
  for (std::size_t j = 0; j < half; ++j) {
    const float low = x[j];
    const float high = x[j + half];
    x[j] = low * cosines[j] - high * sines[j];
    x[j + half] = high * cosines[j] + low * sines[j];
  }
}

void rope_angles(std::size_t position, double theta, std::size_t n, float* cosines, float* sines) {
  for (std::size_t j = 0; j < n / 2; ++j) {
    // fp32 frequency and fp32 product, as the reference computes the angle.
    const double exponent = 2.0 * static_cast<double>(j) / static_cast<double>(n);
    const float frequency = static_cast<float>(1.0 / std::pow(theta, exponent));
    const float angle = static_cast<float>(position) * frequency;
    cosines[j] = std::cos(angle);
    sines[j] = std::sin(angle);
  }
}

void softmax(float* logits, std::size_t n) {
  float maximum = logits[0];
  for (std::size_t i = 1; i < n; ++i) maximum = logits[i] > maximum ? logits[i] : maximum;
  float sum = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    logits[i] = std::exp(logits[i] - maximum);
    sum += logits[i];
  }
  const float inverse = 1.0f / sum;
  for (std::size_t i = 0; i < n; ++i) logits[i] *= inverse;
}

}  // namespace qwen3guard::kernels
