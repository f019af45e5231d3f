// Loops that the compiler vectorises, once for each instruction set: the attribute makes the
// dynamic linker choose at start. Rows are widened to float in small scratch buffers that stay in
// the first cache.
#include "training/kernels.h"

#include <bit>
#include <cmath>
#include <vector>

// By feature, not by arch=: an architecture that the compiler does not know would get the default.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define QG_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define QG_CLONES
#endif
#define QG_INLINE inline __attribute__((always_inline))

namespace qwen3guard::training {
namespace {

QG_INLINE void load(ConstArray from, std::size_t at, std::size_t n, float* to) {
  if (from.bf16) {
    const auto* p = static_cast<const std::uint16_t*>(from.data) + at;
    for (std::size_t i = 0; i < n; ++i)
      to[i] = std::bit_cast<float>(static_cast<std::uint32_t>(p[i]) << 16);
  } else {
    const auto* p = static_cast<const float*>(from.data) + at;
    for (std::size_t i = 0; i < n; ++i) to[i] = p[i];
  }
}

/// Rounds to nearest even, as the hardware does.
QG_INLINE void store(const float* from, std::size_t n, Array to, std::size_t at) {
  if (to.bf16) {
    auto* p = static_cast<std::uint16_t*>(to.data) + at;
    for (std::size_t i = 0; i < n; ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(from[i]);
      p[i] = static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
  } else {
    auto* p = static_cast<float*>(to.data) + at;
    for (std::size_t i = 0; i < n; ++i) p[i] = from[i];
  }
}

/// exp(x) to about 2 units in the last place, without branches so that it vectorises.
QG_INLINE float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
  const float scaled = x * 1.44269504088896341f;
  // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number, on every instruction set.
  const float whole = (scaled + 12582912.0f) - 12582912.0f;
  const float r = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto exponent = static_cast<std::uint32_t>(static_cast<std::int32_t>(whole) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

QG_INLINE std::uint32_t mix(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return x;
}

QG_INLINE void drop(const Dropout& dropout, std::size_t first, std::size_t n, float* values) {
  if (dropout.rate <= 0) return;
  const auto threshold =
      static_cast<std::uint32_t>(static_cast<double>(dropout.rate) * 4294967295.0);
  const float scale = 1.0f / (1.0f - dropout.rate);
  const std::uint32_t key = mix(dropout.seed + 0x9e3779b9U);
  const auto base = static_cast<std::uint32_t>(first);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t h = mix((base + static_cast<std::uint32_t>(i)) ^ key);
    values[i] = h < threshold ? 0.0f : values[i] * scale;
  }
}

/// Sixteen partial sums, combined in one order whatever the vector width.
template <typename F>
QG_INLINE float sum_over(std::size_t n, const F& term) {
  float part[16] = {};
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (std::size_t j = 0; j < 16; ++j) part[j] += term(i + j);
  }
  for (; i < n; ++i) part[i % 16] += term(i);
  float sum = 0;
  for (const float p : part) sum += p;
  return sum;
}

}  // namespace

QG_CLONES void add_norm_forward(const AddNormForward& a) {
  std::vector<float> row(a.width), delta(a.width);
  const std::size_t d = a.width;
  for (std::size_t r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * d;
    if (a.delta.data != nullptr) {
      load(a.delta, r * d, d, delta.data());
      drop(a.dropout, r * d, d, delta.data());
      float* sum = a.sum + r * d;
      for (std::size_t i = 0; i < d; ++i) sum[i] = x[i] + delta[i];
      x = sum;
    }
    const float squares = sum_over(d, [&](std::size_t i) { return x[i] * x[i]; });
    const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(d) + a.epsilon);
    a.inverse[r] = inverse;
    for (std::size_t i = 0; i < d; ++i) row[i] = x[i] * inverse * a.weight[i];
    store(row.data(), d, a.y, r * d);
  }
}

QG_CLONES void add_norm_backward(const AddNormBackward& a) {
  const std::size_t d = a.width;
  std::vector<float> dy(d), dw(d, 0.0f);
  for (std::size_t r = 0; r < a.rows; ++r) {
    load(a.d_y, r * d, d, dy.data());
    const float* x = a.sum + r * d;
    const float inverse = a.inverse[r];
    for (std::size_t i = 0; i < d; ++i) dw[i] += dy[i] * x[i] * inverse;
    for (std::size_t i = 0; i < d; ++i) dy[i] *= a.weight[i];
    const float dot = sum_over(d, [&](std::size_t i) { return dy[i] * x[i]; });
    const float pull = dot * inverse * inverse * inverse / static_cast<float>(d);
    float* dx = a.d_x + r * d;
    for (std::size_t i = 0; i < d; ++i) dx[i] = dy[i] * inverse - x[i] * pull;
    if (a.d_sum != nullptr) {
      const float* from = a.d_sum + r * d;
      for (std::size_t i = 0; i < d; ++i) dx[i] += from[i];
    }
    if (a.d_delta.data != nullptr) {
      for (std::size_t i = 0; i < d; ++i) dy[i] = dx[i];
      drop(a.dropout, r * d, d, dy.data());
      store(dy.data(), d, a.d_delta, r * d);
    }
  }
  for (std::size_t i = 0; i < d; ++i) a.d_weight[i] += dw[i];
}

namespace {

/// Normalises and rotates one head of one token: `in` to `out`, both head_dim long.
QG_INLINE void norm_rope(const float* __restrict in, const float* __restrict weight,
                         const float* __restrict cosine, const float* __restrict sine,
                         float epsilon, float scale, std::size_t dim, float* __restrict out) {
  const float squares = sum_over(dim, [&](std::size_t i) { return in[i] * in[i]; });
  const float inverse = scale / std::sqrt(squares / static_cast<float>(dim) + epsilon);
  const std::size_t half = dim / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const float a = in[i] * inverse * weight[i];
    const float b = in[i + half] * inverse * weight[i + half];
    out[i] = a * cosine[i] - b * sine[i];
    out[i + half] = b * cosine[i] + a * sine[i];
  }
}

/// d_in from d_out (overwritten); d_weight is added to.
QG_INLINE void norm_rope_backward(const float* __restrict in, const float* __restrict weight,
                                  const float* __restrict cosine, const float* __restrict sine,
                                  float epsilon, float scale, std::size_t dim,
                                  float* __restrict d_out, float* __restrict d_in,
                                  float* __restrict d_weight) {
  const float squares = sum_over(dim, [&](std::size_t i) { return in[i] * in[i]; });
  const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(dim) + epsilon);
  const std::size_t half = dim / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const float a = d_out[i] * scale;
    const float b = d_out[i + half] * scale;
    d_out[i] = a * cosine[i] + b * sine[i];
    d_out[i + half] = b * cosine[i] - a * sine[i];
  }
  for (std::size_t i = 0; i < dim; ++i) d_weight[i] += d_out[i] * in[i] * inverse;
  for (std::size_t i = 0; i < dim; ++i) d_out[i] *= weight[i];
  const float dot = sum_over(dim, [&](std::size_t i) { return d_out[i] * in[i]; });
  const float pull = dot * inverse * inverse * inverse / static_cast<float>(dim);
  for (std::size_t i = 0; i < dim; ++i) d_in[i] = d_out[i] * inverse - in[i] * pull;
}

}  // namespace

QG_CLONES void split_heads_forward(const SplitHeadsForward& a) {
  const auto [batch, length, heads, kv_heads, dim] = a.shape;
  const std::size_t width = a.shape.qkv_width();
  const std::size_t group = heads / kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  std::vector<float> row(width), out(dim);
  for (std::size_t b = 0; b < batch; ++b) {
    for (std::size_t t = 0; t < length; ++t) {
      load(a.qkv, (b * length + t) * width, width, row.data());
      const float* cosine = a.cosine + t * (dim / 2);
      const float* sine = a.sine + t * (dim / 2);
      for (std::size_t h = 0; h < heads; ++h) {
        norm_rope(row.data() + h * dim, a.q_weight, cosine, sine, a.epsilon, scale, dim,
                  out.data());
        store(out.data(), dim, a.q, ((b * heads + h) * length + t) * dim);
      }
      for (std::size_t k = 0; k < kv_heads; ++k) {
        norm_rope(row.data() + (heads + k) * dim, a.k_weight, cosine, sine, a.epsilon, 1.0f, dim,
                  out.data());
        const float* value = row.data() + (heads + kv_heads + k) * dim;
        for (std::size_t h = k * group; h < (k + 1) * group; ++h) {
          store(out.data(), dim, a.k, ((b * heads + h) * length + t) * dim);
          store(value, dim, a.v, ((b * heads + h) * length + t) * dim);
        }
      }
    }
  }
}

QG_CLONES void split_heads_backward(const SplitHeadsBackward& a) {
  const auto [batch, length, heads, kv_heads, dim] = a.shape;
  const std::size_t width = a.shape.qkv_width();
  const std::size_t group = heads / kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  std::vector<float> row(width), d_row(width), d_out(dim), part(dim), dw_q(dim, 0.0f),
      dw_k(dim, 0.0f);
  for (std::size_t b = 0; b < batch; ++b) {
    for (std::size_t t = 0; t < length; ++t) {
      load(a.qkv, (b * length + t) * width, width, row.data());
      const float* cosine = a.cosine + t * (dim / 2);
      const float* sine = a.sine + t * (dim / 2);
      for (std::size_t h = 0; h < heads; ++h) {
        load(a.d_q, ((b * heads + h) * length + t) * dim, dim, d_out.data());
        norm_rope_backward(row.data() + h * dim, a.q_weight, cosine, sine, a.epsilon, scale, dim,
                           d_out.data(), d_row.data() + h * dim, dw_q.data());
      }
      for (std::size_t k = 0; k < kv_heads; ++k) {
        float* d_value = d_row.data() + (heads + kv_heads + k) * dim;
        for (std::size_t i = 0; i < dim; ++i) d_out[i] = d_value[i] = 0.0f;
        for (std::size_t h = k * group; h < (k + 1) * group; ++h) {
          const std::size_t at = ((b * heads + h) * length + t) * dim;
          load(a.d_k, at, dim, part.data());
          for (std::size_t i = 0; i < dim; ++i) d_out[i] += part[i];
          load(a.d_v, at, dim, part.data());
          for (std::size_t i = 0; i < dim; ++i) d_value[i] += part[i];
        }
        norm_rope_backward(row.data() + (heads + k) * dim, a.k_weight, cosine, sine, a.epsilon,
                           1.0f, dim, d_out.data(), d_row.data() + (heads + k) * dim, dw_k.data());
      }
      store(d_row.data(), width, a.d_qkv, (b * length + t) * width);
    }
  }
  for (std::size_t i = 0; i < dim; ++i) a.d_q_weight[i] += dw_q[i];
  for (std::size_t i = 0; i < dim; ++i) a.d_k_weight[i] += dw_k[i];
}

QG_CLONES void causal_softmax_forward(std::size_t matrices, std::size_t length, Array scores) {
  std::vector<float> row(length);
  for (std::size_t m = 0; m < matrices; ++m) {
    for (std::size_t t = 0; t < length; ++t) {
      const std::size_t at = (m * length + t) * length;
      const std::size_t n = t + 1;
      load({scores.data, scores.bf16}, at, n, row.data());
      float top = row[0];
      for (std::size_t i = 0; i < n; ++i) top = row[i] > top ? row[i] : top;
      for (std::size_t i = 0; i < n; ++i) row[i] = fast_exp(row[i] - top);
      const float scale = 1.0f / sum_over(n, [&](std::size_t i) { return row[i]; });
      for (std::size_t i = 0; i < n; ++i) row[i] *= scale;
      for (std::size_t i = n; i < length; ++i) row[i] = 0.0f;
      store(row.data(), length, scores, at);
    }
  }
}

QG_CLONES void causal_softmax_backward(std::size_t matrices, std::size_t length,
                                       ConstArray probability, Array d_probability) {
  std::vector<float> p(length), d(length);
  for (std::size_t m = 0; m < matrices; ++m) {
    for (std::size_t t = 0; t < length; ++t) {
      const std::size_t at = (m * length + t) * length;
      const std::size_t n = t + 1;
      load(probability, at, n, p.data());
      load({d_probability.data, d_probability.bf16}, at, n, d.data());
      const float dot = sum_over(n, [&](std::size_t i) { return p[i] * d[i]; });
      for (std::size_t i = 0; i < n; ++i) d[i] = p[i] * (d[i] - dot);
      for (std::size_t i = n; i < length; ++i) d[i] = 0.0f;
      store(d.data(), length, d_probability, at);
    }
  }
}

QG_CLONES void swiglu_forward(std::size_t rows, std::size_t width, ConstArray gate_up, Array y) {
  std::vector<float> in(2 * width), out(width);
  for (std::size_t r = 0; r < rows; ++r) {
    load(gate_up, r * 2 * width, 2 * width, in.data());
    for (std::size_t i = 0; i < width; ++i)
      out[i] = in[i] / (1.0f + fast_exp(-in[i])) * in[width + i];
    store(out.data(), width, y, r * width);
  }
}

QG_CLONES void swiglu_backward(std::size_t rows, std::size_t width, ConstArray gate_up,
                               ConstArray d_y, Array d_gate_up) {
  std::vector<float> in(2 * width), out(2 * width), d(width);
  for (std::size_t r = 0; r < rows; ++r) {
    load(gate_up, r * 2 * width, 2 * width, in.data());
    load(d_y, r * width, width, d.data());
    for (std::size_t i = 0; i < width; ++i) {
      const float s = 1.0f / (1.0f + fast_exp(-in[i]));
      out[i] = d[i] * in[width + i] * s * (1.0f + in[i] * (1.0f - s));
      out[width + i] = d[i] * in[i] * s;
    }
    store(out.data(), 2 * width, d_gate_up, r * 2 * width);
  }
}

QG_CLONES void apply_dropout(std::size_t count, Dropout dropout, float* values) {
  drop(dropout, 0, count, values);
}

QG_CLONES void adamw_step(std::size_t count, const AdamStep& parameters,
                          const float* __restrict gradient, float* __restrict weight,
                          float* __restrict first, float* __restrict second,
                          float* __restrict average) {
  const AdamStep step = parameters;
  const float shrink = 1.0f - step.learning_rate * step.weight_decay;
  for (std::size_t i = 0; i < count; ++i) {
    const float g = gradient[i] * step.gradient_scale;
    first[i] = step.beta1 * first[i] + (1.0f - step.beta1) * g;
    second[i] = step.beta2 * second[i] + (1.0f - step.beta2) * g * g;
    const float denominator = std::sqrt(second[i] / step.correction2) + step.epsilon;
    weight[i] =
        weight[i] * shrink - step.learning_rate * (first[i] / step.correction1) / denominator;
    average[i] = average[i] * step.average_decay + weight[i] * (1.0f - step.average_decay);
  }
}

double sum_of_squares(std::size_t count, const float* values) {
  double part[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::size_t j = 0; j < 8; ++j)
      part[j] += static_cast<double>(values[i + j]) * static_cast<double>(values[i + j]);
  }
  double sum = 0;
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  for (const double p : part) sum += p;
  return sum;
}

}  // namespace qwen3guard::training
