// Pure arithmetic on spans of memory, one table of functions per instruction set.
//
// Every kernel is batch-invariant: the order in which the terms of one output are added depends
// only on the lengths of its inputs, never on how many rows or tokens share the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/packed.h"

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

/// Elements of the KV cache.
enum class CacheType { kF32, kF16 };

/// Positions in one block of the KV cache. A block of one head holds its keys as [n][kKvBlock], so
/// that neighbouring positions are scored in the lanes of one vector, and its values as
/// [kKvBlock][n].
inline constexpr std::size_t kKvBlock = 64;

struct Kernels {
  const char* name;

  /// out[t * out_stride + r] = dot(weights.row(r), x[t * weights.columns …]) for t in [0, tokens)
  /// and r in [row_begin, row_end). Accumulates in fp32.
  void (*matmul)(const Matrix& weights, std::size_t row_begin, std::size_t row_end, const float* x,
                 std::size_t tokens, float* out, std::size_t out_stride);

  /// out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i] for one row of n. `out` may be `x`.
  void (*rms_norm)(const float* x, const float* weight, std::size_t n, float epsilon, float* out);

  /// Writes the key and value [n] of one position into slot `slot` of a block.
  void (*store_kv)(CacheType type, const float* key, const float* value, std::size_t n,
                   std::size_t slot, std::byte* keys, std::byte* values);

  /// scores[q * stride + j] = scale * dot(queries[q * n …], key j) for the first `used` slots of a
  /// block; more of the kKvBlock scores may be overwritten.
  void (*score_keys)(CacheType type, const float* queries, std::size_t count, std::size_t n,
                     const std::byte* keys, std::size_t used, float scale, float* scores,
                     std::size_t stride);

  /// out[q * n + i] += sum over the first `used` slots j of weights[q * stride + j] * value j [i].
  void (*add_values)(CacheType type, const float* weights, std::size_t stride, std::size_t count,
                     const std::byte* values, std::size_t used, std::size_t n, float* out);

  /// In place, over n scores; subtracts the maximum first. n >= 1.
  void (*softmax)(float* scores, std::size_t n);

  /// gate[i] = gate[i] * sigmoid(gate[i]) * up[i].
  void (*silu_mul)(float* gate, const float* up, std::size_t n);

  /// One row of n activations, n a multiple of 32, in blocks: scale = max |x| / 127, value = x *
  /// (127 / max |x|) rounded to even. A block with NaN or infinity gets a scale that is neither
  /// zero nor finite, so that the product is not finite either.
  void (*quantize)(const float* x, std::size_t n, std::int8_t* values, float* scales,
                   std::int32_t* bias_q8, std::int32_t* bias_q4);

  /// out[t * out_stride + r] = dot(row r of weights, x[t]) for t in [0, tokens) and the rows r of
  /// tiles [tile_begin, tile_end). For each block, in order: the integer sum, converted to fp32,
  /// times the weights' scale, then one fused multiply-add with the activations' scale. All tables
  /// give the same bits.
  void (*matmul_packed)(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                        const QuantizedRows& x, std::size_t tokens, float* out,
                        std::size_t out_stride);
};

/// The reference: plain loops in the order of the textbook, kept for good. Every other table is
/// tested against it.
const Kernels& scalar_kernels();
/// Those of x86-64 and that of aarch64, each defined there only: null when this CPU lacks the
/// instructions.
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512vnni_kernels();
const Kernels* amx_kernels();
const Kernels* neon_kernels();
/// Those of this processor that are not null, slowest first.
std::span<const Kernels* const> available_kernels();

/// The fastest table this CPU runs, chosen once. QWEN3GUARD_ISA with the name of one forces it; a
/// name that is unknown or impossible here ends the program with a message, before
/// any work.
const Kernels& active_kernels();

/// Widens one row to fp32.
void widen_row(const std::byte* row, WeightType type, std::size_t n, float* out);

/// Rotary embedding on one head, rotate-half as in Qwen3: x [n], cosines and sines [n / 2].
void rope(float* x, const float* cosines, const float* sines, std::size_t n);
/// The angles' cosines and sines for `position`: theta^(-2j / n), each [n / 2].
void rope_angles(std::size_t position, double theta, std::size_t n, float* cosines, float* sines);

/// The scalar softmax: for the few logits of a head.
void softmax(float* logits, std::size_t n);

}  // namespace qwen3guard::kernels
