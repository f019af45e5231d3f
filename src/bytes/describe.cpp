#include "bytes/describe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace qwen3guard::bytes {
namespace {

/// A binary float of `exponent_bits` and `mantissa_bits`. `finite_only`: the all-ones exponent
/// holds ordinary numbers, and only all ones is NaN (F8_E4M3).
double decode_float(std::uint32_t bits, int exponent_bits, int mantissa_bits, bool finite_only) {
  const std::uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
  const int exponent_mask = (1 << exponent_bits) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & exponent_mask;
  const double sign = (bits >> (exponent_bits + mantissa_bits)) & 1u ? -1.0 : 1.0;
  const int bias = exponent_mask >> 1;
  if (exponent == exponent_mask) {
    const bool nan = finite_only ? mantissa == (1u << mantissa_bits) - 1 : mantissa != 0;
    if (nan) return std::numeric_limits<double>::quiet_NaN();
    if (!finite_only) return sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1u << mantissa_bits) | mantissa, exponent - bias - mantissa_bits);
}

/// Values of the narrow floats by their bits: faster than decoding, small enough to keep.
template <std::size_t kBits>
std::vector<double> float_table(int exponent_bits, int mantissa_bits, bool finite_only) {
  std::vector<double> table(std::size_t{1} << kBits);
  for (std::uint32_t bits = 0; bits < table.size(); ++bits) {
    table[bits] = decode_float(bits, exponent_bits, mantissa_bits, finite_only);
  }
  return table;
}

template <typename Raw, typename ToDouble>
void scan(std::span<const std::byte> data, ToDouble to_double, TensorSummary& summary) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  double sum = 0;
  std::uint64_t finite = 0;
  for (std::size_t at = 0; at + sizeof(Raw) <= data.size(); at += sizeof(Raw)) {
    Raw raw;
    std::memcpy(&raw, data.data() + at, sizeof raw);  // the file need not be aligned
    const double value = to_double(raw);
    if (std::isfinite(value)) {
      low = std::min(low, value);
      high = std::max(high, value);
      sum += value;
      ++finite;
      summary.zero_count += value == 0;
    } else if (std::isnan(value)) {
      ++summary.nan_count;
    } else {
      ++summary.infinite_count;
    }
  }
  if (finite == 0) return;
  summary.minimum = low;
  summary.maximum = high;
  summary.mean = sum / static_cast<double>(finite);
}

template <typename Number>
void scan_numbers(std::span<const std::byte> data, TensorSummary& summary) {
  scan<Number>(
      data, [](Number value) { return static_cast<double>(value); }, summary);
}

template <typename Raw>
void scan_table(std::span<const std::byte> data, const std::vector<double>& table,
                TensorSummary& summary) {
  scan<Raw>(
      data, [&](Raw bits) { return table[bits]; }, summary);
}

void scan_dtype(const TensorView& tensor, TensorSummary& summary) {
  const auto data = tensor.data;
  switch (tensor.dtype) {
    case DType::kBool:
    case DType::kU8:
      return scan_numbers<std::uint8_t>(data, summary);
    case DType::kI8:
      return scan_numbers<std::int8_t>(data, summary);
    case DType::kI16:
      return scan_numbers<std::int16_t>(data, summary);
    case DType::kU16:
      return scan_numbers<std::uint16_t>(data, summary);
    case DType::kI32:
      return scan_numbers<std::int32_t>(data, summary);
    case DType::kU32:
      return scan_numbers<std::uint32_t>(data, summary);
    case DType::kI64:
      return scan_numbers<std::int64_t>(data, summary);
    case DType::kU64:
      return scan_numbers<std::uint64_t>(data, summary);
    case DType::kF32:
      return scan_numbers<float>(data, summary);
    case DType::kF64:
      return scan_numbers<double>(data, summary);
    case DType::kBF16:
      return scan<std::uint16_t>(
          data,
          [](std::uint16_t bits) {
            return static_cast<double>(
                std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
          },
          summary);
    case DType::kF16: {
      static const std::vector<double> table = float_table<16>(5, 10, false);
      return scan_table<std::uint16_t>(data, table, summary);
    }
    case DType::kF8E5M2: {
      static const std::vector<double> table = float_table<8>(5, 2, false);
      return scan_table<std::uint8_t>(data, table, summary);
    }
    case DType::kF8E4M3: {
      static const std::vector<double> table = float_table<8>(4, 3, true);
      return scan_table<std::uint8_t>(data, table, summary);
    }
  }
}

}  // namespace

TensorSummary summarize(const TensorView& tensor) {
  TensorSummary summary{.name = std::string(tensor.name),
                        .dtype = tensor.dtype,
                        .shape = {tensor.shape.begin(), tensor.shape.end()}};
  scan_dtype(tensor, summary);
  return summary;
}

}  // namespace qwen3guard::bytes
