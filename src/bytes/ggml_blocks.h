// The tensor types of GGUF files. A row is stored as blocks of 1, 32 or 256 numbers that share
// their scales; docs/formats/gguf.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// With the numbers that files use.
enum class GgmlType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

std::string_view ggml_type_name(GgmlType type);  // "Q4_K"
std::optional<GgmlType> parse_ggml_type(std::string_view name);
std::optional<GgmlType> ggml_type_of(std::uint32_t number);

struct BlockLayout {
  std::size_t elements;  // numbers in a block
  std::size_t bytes;     // bytes of a block
};
BlockLayout block_layout(GgmlType type);

/// Bytes of a row of `columns` numbers. REQUIRES: whole blocks, and that the bytes fit 64 bits.
std::uint64_t row_bytes(GgmlType type, std::uint64_t columns);

/// Writes the numbers of one row. REQUIRES: `row` has row_bytes(type, out.size()) bytes, of any
/// alignment. Errors: kUnsupported (Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q5_K), kNonFinite; `out` is
/// undefined then.
Status dequantize_row(GgmlType type, std::span<const std::byte> row, std::span<float> out);

/// Writes the blocks of one row, bit for bit as ggml's reference code does. REQUIRES: `out` has
/// row_bytes(type, row.size()) bytes. Errors: kUnsupported (other types than Q8_0 and Q4_0),
/// kNonFinite (a number, or one so large that the fp16 scale would be infinite); `out` is undefined
/// then.
Status quantize_row(GgmlType type, std::span<const float> row, std::span<std::byte> out);

}  // namespace qwen3guard::bytes
