// The weights of one projection, ready to multiply.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "model/stored_matrix.h"
#include "qwen3guard/result.h"
#include "qwen3guard/weight_format.h"

namespace qwen3guard::model {

/// Activations of the tokens of one pass, quantized once for every projection that reads them.
class Quantized {
 public:
  /// x [tokens, columns], columns a multiple of 32.
  void assign(const kernels::Kernels& kernels, const float* x, std::size_t tokens,
              std::size_t columns, base::ThreadPool& pool);
  const kernels::QuantizedRows& rows() const { return rows_; }

 private:
  std::vector<std::int8_t> values_;
  std::vector<float> scales_;
  std::vector<std::int32_t> bias_q8_, bias_q4_;
  kernels::QuantizedRows rows_;
};

/// One or more matrices that read the same activations, their rows stacked. Const after load.
class Linear {
 public:
  Linear() = default;
  /// kStored: floats stay views into the mapped checkpoint; block formats are repacked, Q8_0 and
  /// Q4_0 without loss, all others (and a mixture) as 8 bits. kQ8, kQ4: quantized to that, from
  /// whatever is stored. What is packed has memory of its own, and the mapped pages it came from
  /// are given back. REQUIRES: parts non-empty, of the same columns. Errors: kUnsupported (columns
  /// not a multiple of 32, a block format that we cannot widen), kNonFinite.
  static Result<Linear> create(const std::vector<StoredMatrix>& parts, WeightFormat format);

  bool packed() const { return parts_.empty(); }
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }

  /// out [tokens, rows()] = x [tokens, columns()] times the transposed weights. `scratch` is used
  /// by quantized weights.
  void multiply(const kernels::Kernels& kernels, const float* x, std::size_t tokens, float* out,
                Quantized& scratch, base::ThreadPool& pool) const;

 private:
  static Result<Linear> pack(const std::vector<StoredMatrix>& parts, kernels::PackedType type);

  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::vector<kernels::Matrix> parts_;  // as stored, or
  kernels::PackedMatrix packed_;        // quantized, a view of:
  std::shared_ptr<std::byte[]> values_;
  std::shared_ptr<std::byte[]> scales_;
};

}  // namespace qwen3guard::model
