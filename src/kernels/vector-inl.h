// The vector kernels, written once over a small vector type V that each instruction set's file
// defines (and then includes this file in its anonymous namespace):
//
//   struct V { using Reg; static constexpr size_t kLanes, kTokens, kAttentionQueries (how many fit
//              the registers); zero, load, load_bf16, load_f16, store, store_f16, set1, add, mul,
//              div, min, max (NaN where the second operand is), fma(a, b, c) = a * b + c,
//              round (to even), scale_by_power(x, k) = x * 2^k,
//              sum (lanes added pairwise, a fixed tree) }
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

// A key or value element of the cache, kLanes at a time.
template <CacheType type>
inline V::Reg load_cached(const std::byte* block, std::size_t i) {
  if constexpr (type == CacheType::kF32) {
    return V::load(reinterpret_cast<const float*>(block + 4 * i));
  } else {
    return V::load_f16(block + 2 * i);
  }
}

void store_kv(CacheType type, const float* key, const float* value, std::size_t n, std::size_t slot,
              std::byte* keys, std::byte* values) {
  if (type == CacheType::kF32) {
    for (std::size_t i = 0; i < n; ++i) std::memcpy(keys + 4 * (i * kKvBlock + slot), key + i, 4);
    std::memcpy(values + 4 * slot * n, value, 4 * n);
    return;
  }
  const auto narrow = [n](const float* from, std::byte* to, std::size_t step) {
    std::size_t i = 0;
    for (; i + V::kLanes <= n; i += V::kLanes) {
      std::uint16_t halves[V::kLanes];
      V::store_f16(halves, V::load(from + i));
      for (std::uint16_t& half : halves) half = cache_f16(half);
      if (step == 1) {
        std::memcpy(to + 2 * i, halves, sizeof(halves));
      } else {
        for (std::size_t k = 0; k < V::kLanes; ++k)
          std::memcpy(to + 2 * (i + k) * step, &halves[k], 2);
      }
    }
    for (; i < n; ++i) {
      const std::uint16_t half = cache_f16(f16_from_float(from[i]));
      std::memcpy(to + 2 * i * step, &half, 2);
    }
  };
  narrow(key, keys + 2 * slot, kKvBlock);
  narrow(value, values + 2 * slot * n, 1);
}

// Q queries against G vectors of positions: each key element is loaded once for all queries.
template <CacheType type, int Q, int G>
inline void score_group(const float* queries, std::size_t n, const std::byte* keys,
                        std::size_t first, float scale, float* scores, std::size_t stride) {
  typename V::Reg sums[Q][G];
  for (int q = 0; q < Q; ++q) {
    for (int g = 0; g < G; ++g) sums[q][g] = V::zero();
  }
  for (std::size_t i = 0; i < n; ++i) {
    typename V::Reg k[G];
    for (int g = 0; g < G; ++g)
      k[g] =
          load_cached<type>(keys, i * kKvBlock + first + static_cast<std::size_t>(g) * V::kLanes);
    for (int q = 0; q < Q; ++q) {
      const typename V::Reg x = V::set1(queries[static_cast<std::size_t>(q) * n + i]);
      for (int g = 0; g < G; ++g) sums[q][g] = V::fma(x, k[g], sums[q][g]);
    }
  }
  for (int q = 0; q < Q; ++q) {
    for (int g = 0; g < G; ++g) {
      V::store(scores + static_cast<std::size_t>(q) * stride + first +
                   static_cast<std::size_t>(g) * V::kLanes,
               V::mul(sums[q][g], V::set1(scale)));
    }
  }
}

// Calls body with the first of each group of queries, as many together as there are: one token has
// as many queries for a key as heads share it.
template <typename Body>
inline void for_queries(std::size_t count, Body&& body) {
  constexpr std::size_t kMost = V::kAttentionQueries;
  std::size_t q = 0;
  for (; q + kMost <= count; q += kMost) body(q, std::integral_constant<int, kMost>());
  for (; q + 2 <= count; q += 2) body(q, std::integral_constant<int, 2>());
  for (; q < count; ++q) body(q, std::integral_constant<int, 1>());
}

template <CacheType type>
void score_keys_typed(const float* queries, std::size_t count, std::size_t n, const std::byte* keys,
                      std::size_t used, float scale, float* scores, std::size_t stride) {
  for (std::size_t first = 0; first < used; first += 2 * V::kLanes) {
    for_queries(count, [&](std::size_t q, auto together) {
      score_group<type, decltype(together)::value, 2>(queries + q * n, n, keys, first, scale,
                                                      scores + q * stride, stride);
    });
  }
}

void score_keys(CacheType type, const float* queries, std::size_t count, std::size_t n,
                const std::byte* keys, std::size_t used, float scale, float* scores,
                std::size_t stride) {
  const auto run = type == CacheType::kF32 ? score_keys_typed<CacheType::kF32>
                                           : score_keys_typed<CacheType::kF16>;
  run(queries, count, n, keys, used, scale, scores, stride);
}

// Q rows of weights times G vectors of each value.
template <CacheType type, int Q, int G>
inline void add_group(const float* weights, std::size_t stride, const std::byte* values,
                      std::size_t used, std::size_t n, float* out) {
  typename V::Reg sums[Q][G];
  for (int q = 0; q < Q; ++q) {
    for (int g = 0; g < G; ++g)
      sums[q][g] =
          V::load(out + static_cast<std::size_t>(q) * n + static_cast<std::size_t>(g) * V::kLanes);
  }
  for (std::size_t j = 0; j < used; ++j) {
    typename V::Reg v[G];
    for (int g = 0; g < G; ++g)
      v[g] = load_cached<type>(values, j * n + static_cast<std::size_t>(g) * V::kLanes);
    for (int q = 0; q < Q; ++q) {
      const typename V::Reg w = V::set1(weights[static_cast<std::size_t>(q) * stride + j]);
      for (int g = 0; g < G; ++g) sums[q][g] = V::fma(w, v[g], sums[q][g]);
    }
  }
  for (int q = 0; q < Q; ++q) {
    for (int g = 0; g < G; ++g)
      V::store(out + static_cast<std::size_t>(q) * n + static_cast<std::size_t>(g) * V::kLanes,
               sums[q][g]);
  }
}

template <CacheType type, int G>
void add_columns(const float* weights, std::size_t stride, std::size_t count,
                 const std::byte* values, std::size_t used, std::size_t n, float* out) {
  for_queries(count, [&](std::size_t q, auto together) {
    add_group<type, decltype(together)::value, G>(weights + q * stride, stride, values, used, n,
                                                  out + q * n);
  });
}

template <CacheType type>
void add_values_typed(const float* weights, std::size_t stride, std::size_t count,
                      const std::byte* values, std::size_t used, std::size_t n, float* out) {
  constexpr std::size_t kBytes = type == CacheType::kF32 ? 4 : 2;
  std::size_t i = 0;
  for (; i + 2 * V::kLanes <= n; i += 2 * V::kLanes)
    add_columns<type, 2>(weights, stride, count, values + kBytes * i, used, n, out + i);
  for (; i + V::kLanes <= n; i += V::kLanes)
    add_columns<type, 1>(weights, stride, count, values + kBytes * i, used, n, out + i);
  for (; i < n; ++i) {
    for (std::size_t q = 0; q < count; ++q) {
      for (std::size_t j = 0; j < used; ++j) {
        const auto kind = type == CacheType::kF32 ? WeightType::kF32 : WeightType::kF16;
        float& sum = out[q * n + i];
        sum = V::fma_one(weights[q * stride + j], widen(values, kind, j * n + i), sum);
      }
    }
  }
}

void add_values(CacheType type, const float* weights, std::size_t stride, std::size_t count,
                const std::byte* values, std::size_t used, std::size_t n, float* out) {
  const auto run = type == CacheType::kF32 ? add_values_typed<CacheType::kF32>
                                           : add_values_typed<CacheType::kF16>;
  run(weights, stride, count, values, used, n, out);
}

// e^x = 2^k e^r with |r| <= ln 2 / 2, the Taylor series of e^r to r^7: its remainder, 6e-9, is far
// below fp32. ln 2 in two parts keeps r exact. Gives 0 below -104, NaN for NaN.
inline V::Reg exp(V::Reg x) {
  x = V::max(V::set1(-104.0f), V::min(V::set1(89.0f), x));
  const typename V::Reg k = V::round(V::mul(x, V::set1(1.44269504f)));
  typename V::Reg r = V::fma(k, V::set1(-0.693359375f), x);
  r = V::fma(k, V::set1(2.12194440e-4f), r);
  typename V::Reg sum = V::set1(1.0f / 5040);
  for (const float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = V::fma(sum, r, V::set1(c));
  return V::scale_by_power(sum, k);
}

// The tail of fewer than kLanes goes through a padded vector: every element takes the same path.
template <typename Body>
inline void for_vectors(std::size_t n, Body&& body) {
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) body(i, V::kLanes);
  if (i < n) body(i, n - i);
}

inline V::Reg load_part(const float* p, std::size_t count) {
  if (count == V::kLanes) return V::load(p);
  float padded[V::kLanes] = {};
  std::memcpy(padded, p, count * sizeof(float));
  return V::load(padded);
}

inline void store_part(float* p, V::Reg v, std::size_t count) {
  if (count == V::kLanes) return V::store(p, v);
  float padded[V::kLanes];
  V::store(padded, v);
  std::memcpy(p, padded, count * sizeof(float));
}

void softmax_scores(float* scores, std::size_t n) {
  // Scores with NaN among them end as NaN, whatever the largest is.
  float largest = scores[0];
  std::size_t next = 1;
  if (n >= V::kLanes) {
    typename V::Reg most = V::load(scores);
    for (next = V::kLanes; next + V::kLanes <= n; next += V::kLanes)
      most = V::max(most, V::load(scores + next));
    float lanes[V::kLanes];
    V::store(lanes, most);
    for (const float lane : lanes) largest = lane > largest ? lane : largest;
  }
  for (; next < n; ++next) largest = scores[next] > largest ? scores[next] : largest;
  float sum = 0.0f;
  for_vectors(n, [&](std::size_t i, std::size_t count) {
    store_part(scores + i, exp(V::add(load_part(scores + i, count), V::set1(-largest))), count);
  });
  typename V::Reg sums = V::zero();
  const std::size_t whole = n - n % V::kLanes;
  for (std::size_t i = 0; i < whole; i += V::kLanes) sums = V::add(sums, V::load(scores + i));
  sum = V::sum(sums);
  for (std::size_t i = whole; i < n; ++i) sum += scores[i];
  const float inverse = 1.0f / sum;
  for (std::size_t i = 0; i < n; ++i) scores[i] *= inverse;
}

void silu_mul(float* gate, const float* up, std::size_t n) {
  for_vectors(n, [&](std::size_t i, std::size_t count) {
    const typename V::Reg x = load_part(gate + i, count);
    const typename V::Reg one = V::set1(1.0f);
    const typename V::Reg sigmoid = V::div(one, V::add(one, exp(V::mul(x, V::set1(-1.0f)))));
    store_part(gate + i, V::mul(V::mul(x, sigmoid), load_part(up + i, count)), count);
  });
}
