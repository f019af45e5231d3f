#include "bytes/ggml_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/float16.h"

// Scales are read in place.
static_assert(std::endian::native == std::endian::little);

namespace qwen3guard::bytes {
namespace {

struct TypeRow {
  GgmlType type;
  std::string_view name;
  BlockLayout layout;
};
constexpr std::array kTypes = {
    TypeRow{GgmlType::kF32, "F32", {1, 4}},       TypeRow{GgmlType::kF16, "F16", {1, 2}},
    TypeRow{GgmlType::kQ4_0, "Q4_0", {32, 18}},   TypeRow{GgmlType::kQ4_1, "Q4_1", {32, 20}},
    TypeRow{GgmlType::kQ5_0, "Q5_0", {32, 22}},   TypeRow{GgmlType::kQ5_1, "Q5_1", {32, 24}},
    TypeRow{GgmlType::kQ8_0, "Q8_0", {32, 34}},   TypeRow{GgmlType::kQ2_K, "Q2_K", {256, 84}},
    TypeRow{GgmlType::kQ3_K, "Q3_K", {256, 110}}, TypeRow{GgmlType::kQ4_K, "Q4_K", {256, 144}},
    TypeRow{GgmlType::kQ5_K, "Q5_K", {256, 176}}, TypeRow{GgmlType::kQ6_K, "Q6_K", {256, 210}},
    TypeRow{GgmlType::kBF16, "BF16", {1, 2}},
};

const TypeRow& row_of(GgmlType type) {
  const auto* row = std::find_if(kTypes.begin(), kTypes.end(),
                                 [type](const TypeRow& each) { return each.type == type; });
  QG_CHECK(row != kTypes.end());
  return *row;
}

std::uint16_t u16_at(const std::byte* bytes) {
  std::uint16_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

float f16_at(const std::byte* bytes) { return float_from_f16(u16_at(bytes)); }

int u8_at(const std::byte* bytes) { return std::to_integer<int>(*bytes); }

// One block each. In every product below the factors have so few bits (11 of an fp16, at most 8 of
// an integer) that fp32 holds it exactly: the result does not depend on how they are grouped.

void decode_f32(const std::byte* block, float* out) { std::memcpy(out, block, sizeof *out); }
void decode_f16(const std::byte* block, float* out) { *out = f16_at(block); }
void decode_bf16(const std::byte* block, float* out) { *out = float_from_bf16(u16_at(block)); }

void decode_q8_0(const std::byte* block, float* out) {
  const float scale = f16_at(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
  }
}

void decode_q4_0(const std::byte* block, float* out) {
  const float scale = f16_at(block);
  for (int i = 0; i < 16; ++i) {
    const int pair = u8_at(block + 2 + i);
    out[i] = scale * static_cast<float>((pair & 15) - 8);
    out[16 + i] = scale * static_cast<float>((pair >> 4) - 8);
  }
}

void decode_q4_k(const std::byte* block, float* out) {
  const float scale = f16_at(block);
  const float minimum_scale = f16_at(block + 2);
  const std::byte* packed = block + 4;
  for (int group = 0; group < 8; ++group) {  // of 32 numbers
    int multiplier;
    int minimum;
    if (group < 4) {
      multiplier = u8_at(packed + group) & 63;
      minimum = u8_at(packed + 4 + group) & 63;
    } else {  // four low bits of each in one byte, the two high ones atop those of group - 4
      const int low = u8_at(packed + 4 + group);
      multiplier = (low & 15) | (u8_at(packed + group - 4) >> 6 << 4);
      minimum = (low >> 4) | (u8_at(packed + group) >> 6 << 4);
    }
    const float step = scale * static_cast<float>(multiplier);
    const float offset = minimum_scale * static_cast<float>(minimum);
    const std::byte* pairs = block + 16 + 32 * (group / 2);
    const int shift = 4 * (group % 2);
    for (int i = 0; i < 32; ++i) {
      out[32 * group + i] = step * static_cast<float>((u8_at(pairs + i) >> shift) & 15) - offset;
    }
  }
}

void decode_q6_k(const std::byte* block, float* out) {
  const std::byte* low = block;
  const std::byte* high = block + 128;
  const std::byte* multipliers = block + 192;
  const float scale = f16_at(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int quarter = i % 128 / 32;  // of the half
    const int at = i % 32;
    const int four = u8_at(low + 64 * half + 32 * (quarter % 2) + at) >> (4 * (quarter / 2)) & 15;
    const int two = u8_at(high + 32 * half + at) >> (2 * quarter) & 3;
    const auto multiplier = static_cast<std::int8_t>(multipliers[i / 16]);
    out[i] = scale * static_cast<float>(multiplier) * static_cast<float>((two << 4 | four) - 32);
  }
}

using Decoder = void (*)(const std::byte* block, float* out);

Decoder decoder_of(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return decode_f32;
    case GgmlType::kF16:
      return decode_f16;
    case GgmlType::kBF16:
      return decode_bf16;
    case GgmlType::kQ8_0:
      return decode_q8_0;
    case GgmlType::kQ4_0:
      return decode_q4_0;
    case GgmlType::kQ4_K:
      return decode_q4_k;
    case GgmlType::kQ6_K:
      return decode_q6_k;
    case GgmlType::kQ4_1:
    case GgmlType::kQ5_0:
    case GgmlType::kQ5_1:
    case GgmlType::kQ2_K:
    case GgmlType::kQ3_K:
    case GgmlType::kQ5_K:
      break;
  }
  return nullptr;
}

/// The same as in the reference, where a division a number would give other roundings. A scale too
/// small to have an inverse stores as zero: so do its numbers.
float inverse(float scale) {
  const float result = 1.0f / scale;
  return std::isfinite(result) ? result : 0.0f;
}

void encode_q8_0(const float* in, float largest, std::byte* block) {
  const float scale = std::fabs(largest) / 127.0f;
  const float factor = inverse(scale);
  const std::uint16_t stored = f16_from_float(scale);
  std::memcpy(block, &stored, sizeof stored);
  for (int i = 0; i < 32; ++i) {
    block[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::round(in[i] * factor)));
  }
}

void encode_q4_0(const float* in, float largest, std::byte* block) {
  const float scale = largest / -8.0f;
  const float factor = inverse(scale);
  const std::uint16_t stored = f16_from_float(scale);
  std::memcpy(block, &stored, sizeof stored);
  const auto nibble = [&](int i) { return std::min(15, static_cast<int>(in[i] * factor + 8.5f)); };
  for (int i = 0; i < 16; ++i) {
    block[2 + i] = static_cast<std::byte>(nibble(i) | nibble(16 + i) << 4);
  }
}

Error non_finite(std::size_t column, float value) {
  return {ErrorCode::kNonFinite, "the number in column " + std::to_string(column) + " is " +
                                     std::to_string(value) + ", expected a finite one"};
}

Error no_codec(GgmlType type, const char* verb, const char* types) {
  return {ErrorCode::kUnsupported, std::string("cannot ") + verb + " type " +
                                       std::string(ggml_type_name(type)) + "; use one of " + types};
}

}  // namespace

std::string_view ggml_type_name(GgmlType type) { return row_of(type).name; }

std::optional<GgmlType> parse_ggml_type(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

std::optional<GgmlType> ggml_type_of(std::uint32_t number) {
  for (const TypeRow& row : kTypes) {
    if (static_cast<std::uint32_t>(row.type) == number) return row.type;
  }
  return std::nullopt;
}

BlockLayout block_layout(GgmlType type) { return row_of(type).layout; }

std::uint64_t row_bytes(GgmlType type, std::uint64_t columns) {
  const BlockLayout layout = block_layout(type);
  std::uint64_t bytes = 0;
  QG_CHECK(columns % layout.elements == 0 &&
           !__builtin_mul_overflow(columns / layout.elements, layout.bytes, &bytes));
  return bytes;
}

Status dequantize_row(GgmlType type, std::span<const std::byte> row, std::span<float> out) {
  QG_CHECK(row.size() == row_bytes(type, out.size()));
  const Decoder decode = decoder_of(type);
  if (decode == nullptr) {
    return no_codec(type, "read the numbers of", "F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K");
  }
  const BlockLayout layout = block_layout(type);
  for (std::size_t block = 0; block < out.size() / layout.elements; ++block) {
    decode(row.data() + block * layout.bytes, out.data() + block * layout.elements);
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!std::isfinite(out[i])) return non_finite(i, out[i]);
  }
  return {};
}

Status quantize_row(GgmlType type, std::span<const float> row, std::span<std::byte> out) {
  QG_CHECK(out.size() == row_bytes(type, row.size()));
  if (type != GgmlType::kQ8_0 && type != GgmlType::kQ4_0) {
    return no_codec(type, "quantize to", "Q8_0 and Q4_0");
  }
  const BlockLayout layout = block_layout(type);
  const auto encode = type == GgmlType::kQ8_0 ? encode_q8_0 : encode_q4_0;
  // From 65520 on the scale would be infinite in fp16.
  const float limit = 65520.0f * (type == GgmlType::kQ8_0 ? 127.0f : 8.0f);
  for (std::size_t block = 0; block < row.size() / layout.elements; ++block) {
    const float* in = row.data() + block * layout.elements;
    float largest = 0;  // in magnitude; the first of several
    for (std::size_t i = 0; i < layout.elements; ++i) {
      if (!std::isfinite(in[i])) return non_finite(block * layout.elements + i, in[i]);
      if (std::fabs(in[i]) > std::fabs(largest)) largest = in[i];
    }
    if (std::fabs(largest) >= limit) {
      return Error{ErrorCode::kNonFinite,
                   "the block of column " + std::to_string(block * layout.elements) + " holds " +
                       std::to_string(largest) + ", too large for " +
                       std::string(ggml_type_name(type)) + ", expected less than " +
                       std::to_string(limit) + " in magnitude"};
    }
    encode(in, largest, out.data() + block * layout.bytes);
  }
  return {};
}

}  // namespace qwen3guard::bytes
