// Pure arithmetic on spans of memory, one table of functions per instruction set.
//
// Every kernel is batch-invariant: the order in which the terms of one output are added depends
// only on the lengths of its inputs, never on how many rows or tokens share the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace qwen3guard::kernels {

enum class WeightType { kF32, kBF16, kF16 };

/// Row-major weights [rows, columns] as a checkpoint holds them; `data` may be unaligned.
struct Matrix {
  const std::byte* data = nullptr;
  WeightType type = WeightType::kF32;
  std::size_t rows = 0;
  std::size_t columns = 0;

  std::size_t element_size() const { return type == WeightType::kF32 ? 4 : 2; }
  const std::byte* row(std::size_t r) const { return data + r * columns * element_size(); }
};

struct Kernels {
  const char* name;

  /// out[t * out_stride + r] = dot(weights.row(r), x[t * weights.columns …]) for t in [0, tokens)
  /// and r in [row_begin, row_end). Accumulates in fp32.
  void (*matmul)(const Matrix& weights, std::size_t row_begin, std::size_t row_end, const float* x,
                 std::size_t tokens, float* out, std::size_t out_stride);

  /// out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i] for one row of n. `out` may be `x`.
  void (*rms_norm)(const float* x, const float* weight, std::size_t n, float epsilon, float* out);

  /// scores[j] = scale * dot(query, keys[j * n …]) for j in [0, count).
  void (*score_keys)(const float* query, const float* keys, std::size_t count, std::size_t n,
                     float scale, float* scores);

  /// out[i] += sum_j weights[j] * values[j * n + i], j in [0, count).
  void (*add_values)(const float* weights, const float* values, std::size_t count, std::size_t n,
                     float* out);

  /// gate[i] = gate[i] * sigmoid(gate[i]) * up[i].
  void (*silu_mul)(float* gate, const float* up, std::size_t n);
};

/// The reference: plain loops in the order of the textbook, kept for good. Every other table is
/// tested against it.
const Kernels& scalar_kernels();
/// Null when not compiled in or when this CPU lacks the instructions.
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

/// The fastest table this CPU runs, chosen once. QWEN3GUARD_ISA=scalar|avx2|avx512 forces one;
/// a name that is unknown or impossible here ends the program with a message, before any work.
const Kernels& active_kernels();

/// Widens one row to fp32.
void widen_row(const std::byte* row, WeightType type, std::size_t n, float* out);

/// Rotary embedding on one head, rotate-half as in Qwen3: x [n], cosines and sines [n / 2].
void rope(float* x, const float* cosines, const float* sines, std::size_t n);
/// The angles' cosines and sines for `position`: theta^(-2j / n), each [n / 2].
void rope_angles(std::size_t position, double theta, std::size_t n, float* cosines, float* sines);

/// In place, over n logits; subtracts the maximum first. n >= 1.
void softmax(float* logits, std::size_t n);

}  // namespace qwen3guard::kernels
