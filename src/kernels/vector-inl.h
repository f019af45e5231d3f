// The vector kernels, written once over a small vector type V that each instruction set's file
// defines (and then includes this file in its anonymous namespace):
//
//   struct V { using Reg; static constexpr size_t kLanes; zero, load, load_bf16, load_f16, store,
//   set1,
//              add, mul, fma(a, b, c) = a * b + c, sum (lanes added pairwise, a fixed tree) }
//
// A dot product keeps one accumulator register over whole vectors, adds the lanes by V::sum, then
// the tail of less than kLanes terms one by one. That order never depends on the block shape below,
// which is what makes the kernels batch-invariant.

template <WeightType type>
inline V::Reg load_weights(const std::byte* row, std::size_t i) {
  if constexpr (type == WeightType::kF32) {
    return V::load(reinterpret_cast<const float*>(row + 4 * i));
  } else if constexpr (type == WeightType::kBF16) {
    return V::load_bf16(row + 2 * i);
  } else {
    return V::load_f16(row + 2 * i);
  }
}

// R rows of weights times T tokens: R * T accumulators stay in registers, each weight is widened
// once.
template <WeightType type, int R, int T>
inline void dot_block(const std::byte* const* rows, const float* x, std::size_t n, float* out,
                      std::size_t out_stride) {
  typename V::Reg sums[R][T];
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < T; ++t) sums[r][t] = V::zero();
  }
  const std::size_t whole = n - n % V::kLanes;
  for (std::size_t i = 0; i < whole; i += V::kLanes) {
    typename V::Reg w[R];
    for (int r = 0; r < R; ++r) w[r] = load_weights<type>(rows[r], i);
    for (int t = 0; t < T; ++t) {
      const typename V::Reg value = V::load(x + static_cast<std::size_t>(t) * n + i);
      for (int r = 0; r < R; ++r) sums[r][t] = V::fma(w[r], value, sums[r][t]);
    }
  }
  for (int t = 0; t < T; ++t) {
    for (int r = 0; r < R; ++r) {
      float sum = V::sum(sums[r][t]);
      for (std::size_t i = whole; i < n; ++i) {
        sum = V::fma_one(widen(rows[r], type, i), x[static_cast<std::size_t>(t) * n + i], sum);
      }
      out[static_cast<std::size_t>(t) * out_stride + static_cast<std::size_t>(r)] = sum;
    }
  }
}

template <WeightType type, int R>
inline void dot_rows(const std::byte* const* rows, const float* x, std::size_t tokens,
                     std::size_t n, float* out, std::size_t out_stride) {
  std::size_t t = 0;
  for (; t + V::kTokens <= tokens; t += V::kTokens) {
    dot_block<type, R, V::kTokens>(rows, x + t * n, n, out + t * out_stride, out_stride);
  }
  for (; t < tokens; ++t) {
    dot_block<type, R, 1>(rows, x + t * n, n, out + t * out_stride, out_stride);
  }
}

template <WeightType type>
void matmul_typed(const Matrix& weights, std::size_t row_begin, std::size_t row_end, const float* x,
                  std::size_t tokens, float* out, std::size_t out_stride) {
  constexpr int kRows = 4;
  std::size_t r = row_begin;
  for (; r + kRows <= row_end; r += kRows) {
    const std::byte* rows[kRows];
    for (std::size_t k = 0; k < kRows; ++k) rows[k] = weights.row(r + k);
    dot_rows<type, kRows>(rows, x, tokens, weights.columns, out + r, out_stride);
  }
  for (; r < row_end; ++r) {
    const std::byte* row = weights.row(r);
    dot_rows<type, 1>(&row, x, tokens, weights.columns, out + r, out_stride);
  }
}

void matmul(const Matrix& weights, std::size_t row_begin, std::size_t row_end, const float* x,
            std::size_t tokens, float* out, std::size_t out_stride) {
  switch (weights.type) {
    case WeightType::kF32:
      return matmul_typed<WeightType::kF32>(weights, row_begin, row_end, x, tokens, out,
                                            out_stride);
    case WeightType::kBF16:
      return matmul_typed<WeightType::kBF16>(weights, row_begin, row_end, x, tokens, out,
                                             out_stride);
    case WeightType::kF16:
      return matmul_typed<WeightType::kF16>(weights, row_begin, row_end, x, tokens, out,
                                            out_stride);
  }
}

inline float dot(const float* a, const float* b, std::size_t n) {
  float result;
  const std::byte* row = reinterpret_cast<const std::byte*>(a);
  dot_block<WeightType::kF32, 1, 1>(&row, b, n, &result, 0);
  return result;
}

void rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* out) {
  const float inverse = 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + epsilon);
  for (std::size_t i = 0; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}

void score_keys(const float* query, const float* keys, std::size_t count, std::size_t n,
                float scale, float* scores) {
  for (std::size_t j = 0; j < count; ++j) scores[j] = dot(query, keys + j * n, n) * scale;
}

void add_values(const float* weights, const float* values, std::size_t count, std::size_t n,
                float* out) {
  const std::size_t whole = n - n % V::kLanes;
  for (std::size_t i = 0; i < whole; i += V::kLanes) {
    typename V::Reg sum = V::load(out + i);
    for (std::size_t j = 0; j < count; ++j) {
      sum = V::fma(V::set1(weights[j]), V::load(values + j * n + i), sum);
    }
    V::store(out + i, sum);
  }
  for (std::size_t i = whole; i < n; ++i) {
    for (std::size_t j = 0; j < count; ++j)
      out[i] = V::fma_one(weights[j], values[j * n + i], out[i]);
  }
}

void silu_mul(float* gate, const float* up, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}
