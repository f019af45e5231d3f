// Rows of numbers as a checkpoint stores them, in any of its formats.
#pragma once

#include <cstddef>
#include <span>

#include "bytes/ggml_blocks.h"
#include "kernels/kernels.h"
#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// A view [rows, columns] into a mapped file.
struct StoredMatrix {
  bytes::GgmlType type = bytes::GgmlType::kF32;
  std::span<const std::byte> data;
  std::size_t rows = 0;
  std::size_t columns = 0;

  bool empty() const { return data.empty(); }
  /// F32, F16 or BF16: the kernels multiply with it as it is.
  bool is_float() const;
  /// REQUIRES: is_float().
  kernels::Matrix matrix() const;
  std::span<const std::byte> row(std::size_t r) const;
  /// One row as fp32. Errors: those of bytes::dequantize_row.
  Status widen(std::size_t r, std::span<float> out) const;
};

}  // namespace qwen3guard::model
