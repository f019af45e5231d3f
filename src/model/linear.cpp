#include "model/linear.h"

#include <algorithm>

#include "base/aligned_memory.h"
#include "base/check.h"
#include "base/try.h"
#include "bytes/mapped_file.h"

namespace qwen3guard::model {
namespace {

// Rows of weights that a thread takes at a time.
constexpr std::size_t kRowGrain = 64;
constexpr std::size_t kTileGrain = kRowGrain / kernels::kTileRows;
// Tokens whose activations a thread quantizes at a time: one is too little work to share.
constexpr std::size_t kTokenGrain = 8;

}  // namespace

void Quantized::assign(const kernels::Kernels& kernels, const float* x, std::size_t tokens,
                       std::size_t columns, base::ThreadPool& pool) {
  const std::size_t blocks = columns / kernels::kBlockColumns;
  values_.resize(tokens * columns);
  scales_.resize(tokens * blocks);
  bias_q8_.resize(tokens * blocks);
  bias_q4_.resize(tokens * blocks);
  pool.parallel_for(tokens, kTokenGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      kernels.quantize(x + t * columns, columns, &values_[t * columns], &scales_[t * blocks],
                       &bias_q8_[t * blocks], &bias_q4_[t * blocks]);
    }
  });
  rows_ = {values_.data(), scales_.data(), bias_q8_.data(), bias_q4_.data(), columns};
}

Result<Linear> Linear::create(const std::vector<StoredMatrix>& parts, WeightFormat format) {
  const auto all = [&](const auto& property) {
    return std::all_of(parts.begin(), parts.end(), property);
  };
  for (const auto& part : parts) QG_CHECK(part.columns == parts.front().columns);
  if (format == WeightFormat::kStored && all([](const auto& p) { return p.is_float(); })) {
    Linear linear;
    linear.columns_ = parts.front().columns;
    for (const auto& part : parts) {
      linear.parts_.push_back(part.matrix());
      linear.rows_ += part.rows;
    }
    return linear;
  }
  const bool four_bits = format == WeightFormat::kQ4 ||
                         (format == WeightFormat::kStored &&
                          all([](const auto& p) { return p.type == bytes::GgmlType::kQ4_0; }));
  return pack(parts, four_bits ? kernels::PackedType::kQ4 : kernels::PackedType::kQ8);
}

Result<Linear> Linear::pack(const std::vector<StoredMatrix>& parts, kernels::PackedType type) {
  Linear linear;
  linear.columns_ = parts.front().columns;
  for (const auto& part : parts) linear.rows_ += part.rows;
  if (linear.columns_ % kernels::kBlockColumns != 0) {
    return Error{ErrorCode::kUnsupported, "a projection reads " + std::to_string(linear.columns_) +
                                              " values; quantized weights need a multiple of " +
                                              std::to_string(kernels::kBlockColumns) +
                                              ": use the weights as stored"};
  }
  kernels::PackedMatrix& packed = linear.packed_;
  packed = {type, linear.rows_, linear.columns_, nullptr, nullptr};
  linear.values_ = base::allocate_zeroed(packed.value_bytes());
  linear.scales_ = base::allocate_zeroed(packed.scale_count() * sizeof(std::uint16_t));
  auto* const values = reinterpret_cast<std::uint8_t*>(linear.values_.get());
  auto* const scales = reinterpret_cast<std::uint16_t*>(linear.scales_.get());
  packed.values = values;
  packed.scales = scales;

  const auto target =
      type == kernels::PackedType::kQ8 ? bytes::GgmlType::kQ8_0 : bytes::GgmlType::kQ4_0;
  std::vector<float> row(linear.columns_);
  std::vector<std::byte> blocks(
      static_cast<std::size_t>(bytes::row_bytes(target, linear.columns_)));
  std::size_t at = 0;
  for (const auto& part : parts) {
    for (std::size_t r = 0; r < part.rows; ++r, ++at) {
      std::span<const std::byte> packable = part.row(r);
      if (part.type != target) {
        QG_CHECK_OK(part.widen(r, row));
        QG_CHECK_OK(bytes::quantize_row(target, row, blocks));
        packable = blocks;
      }
      if (!kernels::pack_row(packed, at, packable, values, scales)) {
        return Error{ErrorCode::kNonFinite, "row " + std::to_string(r) +
                                                " has a scale that is NaN or infinite; check the "
                                                "file with `qwen3guard inspect`"};
      }
    }
    bytes::release_pages(part.data);
  }
  return linear;
}

void Linear::multiply(const kernels::Kernels& kernels, const float* x, std::size_t tokens,
                      float* out, Quantized& scratch, base::ThreadPool& pool) const {
  if (packed()) {
    scratch.assign(kernels, x, tokens, columns_, pool);
    pool.parallel_for(packed_.tiles(), kTileGrain, [&](std::size_t begin, std::size_t end) {
      kernels.matmul_packed(packed_, begin, end, scratch.rows(), tokens, out, rows_);
    });
    return;
  }
  pool.parallel_for(rows_, kRowGrain, [&](std::size_t begin, std::size_t end) {
    std::size_t first = 0;  // of this part in the stacked rows
    for (const auto& part : parts_) {
      const std::size_t from = std::max(begin, first), to = std::min(end, first + part.rows);
      if (from < to) kernels.matmul(part, from - first, to - first, x, tokens, out + first, rows_);
      first += part.rows;
    }
  });
}

}  // namespace qwen3guard::model
