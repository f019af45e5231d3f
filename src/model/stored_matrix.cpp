#include "model/stored_matrix.h"

#include "base/check.h"

namespace qwen3guard::model {

bool StoredMatrix::is_float() const {
  return type == bytes::GgmlType::kF32 || type == bytes::GgmlType::kF16 ||
         type == bytes::GgmlType::kBF16;
}

kernels::Matrix StoredMatrix::matrix() const {
  QG_CHECK(is_float());
  const kernels::WeightType weight = type == bytes::GgmlType::kF32   ? kernels::WeightType::kF32
                                     : type == bytes::GgmlType::kF16 ? kernels::WeightType::kF16
                                                                     : kernels::WeightType::kBF16;
  return {data.data(), weight, rows, columns};
}

std::span<const std::byte> StoredMatrix::row(std::size_t r) const {
  const auto bytes = static_cast<std::size_t>(bytes::row_bytes(type, columns));
  return data.subspan(r * bytes, bytes);
}

Status StoredMatrix::widen(std::size_t r, std::span<float> out) const {
  if (!is_float()) return bytes::dequantize_row(type, row(r), out);
  const kernels::Matrix floats = matrix();  // NaN passes: the forward pass reports it
  kernels::widen_row(floats.row(r), floats.type, columns, out.data());
  return {};
}

}  // namespace qwen3guard::model
