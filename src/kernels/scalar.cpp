// The scalar reference, and the few loops that need nothing faster.

#include <algorithm>
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

float cached(CacheType type, const std::byte* block, std::size_t i) {
  return widen(block, type == CacheType::kF32 ? WeightType::kF32 : WeightType::kF16, i);
}

void put(CacheType type, float value, std::byte* block, std::size_t i) {
  if (type == CacheType::kF32) {
    std::memcpy(block + 4 * i, &value, 4);
  } else {
    const std::uint16_t half = cache_f16(f16_from_float(value));
    std::memcpy(block + 2 * i, &half, 2);
  }
}

void store_kv(CacheType type, const float* key, const float* value, std::size_t n, std::size_t slot,
              std::byte* keys, std::byte* values) {
  for (std::size_t i = 0; i < n; ++i) {
    put(type, key[i], keys, i * kKvBlock + slot);
    put(type, value[i], values, slot * n + i);
  }
}

void score_keys(CacheType type, const float* queries, std::size_t count, std::size_t n,
                const std::byte* keys, std::size_t used, float scale, float* scores,
                std::size_t stride) {
  for (std::size_t q = 0; q < count; ++q) {
    for (std::size_t j = 0; j < used; ++j) {
      float sum = 0.0f;
      for (std::size_t i = 0; i < n; ++i)
        sum += queries[q * n + i] * cached(type, keys, i * kKvBlock + j);
      scores[q * stride + j] = sum * scale;
    }
  }
}

void add_values(CacheType type, const float* weights, std::size_t stride, std::size_t count,
                const std::byte* values, std::size_t used, std::size_t n, float* out) {
  for (std::size_t q = 0; q < count; ++q) {
    for (std::size_t j = 0; j < used; ++j) {
      for (std::size_t i = 0; i < n; ++i)
        out[q * n + i] += weights[q * stride + j] * cached(type, values, j * n + i);
    }
  }
}

void silu_mul(float* gate, const float* up, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

// Bits, not values, are compared: NaN and infinity are larger than any finite magnitude.
float largest_magnitude(const float* x, std::size_t n) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < n; ++i)
    largest = std::max(largest, std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffu);
  return std::bit_cast<float>(largest);
}

void quantize(const float* x, std::size_t n, std::int8_t* values, float* scales,
              std::int32_t* bias_q8, std::int32_t* bias_q4) {
  for (std::size_t b = 0; b < n / kBlockColumns; ++b) {
    const float largest = largest_magnitude(x + b * kBlockColumns, kBlockColumns);
    const float inverse = inverse_scale(largest);
    scales[b] = largest / 127.0f;
    std::int32_t sum = 0;
    for (std::size_t i = b * kBlockColumns; i < (b + 1) * kBlockColumns; ++i) {
      const float scaled = x[i] * inverse;
      values[i] =
          std::isnan(scaled) ? std::int8_t{-127} : static_cast<std::int8_t>(std::nearbyint(scaled));
      sum += values[i];
    }
    bias_q8[b] = -128 * sum;
    bias_q4[b] = -8 * sum;
  }
}

void matmul_packed(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                   const QuantizedRows& x, std::size_t tokens, float* out, std::size_t out_stride) {
  const std::size_t blocks = weights.blocks();
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t r = tile_begin * kTileRows; r < std::min(tile_end * kTileRows, weights.rows);
         ++r) {
      const std::size_t tile = r / kTileRows, lane = r % kTileRows;
      float total = 0.0f;
      for (std::size_t b = 0; b < blocks; ++b) {
        const std::uint8_t* block = weights.tile(tile) + b * weights.block_bytes();
        const std::int8_t* values = x.values + t * x.columns + b * kBlockColumns;
        std::int32_t sum = 0;
        for (std::size_t c = 0; c < kBlockColumns; ++c)
          sum += packed_value(weights, block, c, lane) * values[c];
        const float scale = float_from_f16(weights.tile_scales(tile)[b * kTileRows + lane]);
        total = std::fma(static_cast<float>(sum) * scale, x.scales[t * blocks + b], total);
      }
      out[t * out_stride + r] = total;
    }
  }
}

}  // namespace

const Kernels& scalar_kernels() {
  static constexpr Kernels table = {"scalar",   matmul,       rms_norm,         store_kv,
                                    score_keys, add_values,   kernels::softmax, silu_mul,
                                    quantize,   matmul_packed};
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
