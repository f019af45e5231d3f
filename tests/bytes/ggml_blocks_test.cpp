#include "bytes/ggml_blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "base/float16.h"
#include "gguf_bytes.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::as_bytes;
using testing::expect_error;
using testing::raw;

using Bytes = std::vector<std::uint8_t>;

std::vector<float> dequantized(GgmlType type, std::span<const std::byte> row) {
  const BlockLayout layout = block_layout(type);
  std::vector<float> out(row.size() / layout.bytes * layout.elements);
  const Status status = dequantize_row(type, row, out);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

Bytes quantized(GgmlType type, const std::vector<float>& row) {
  Bytes out(static_cast<std::size_t>(row_bytes(type, row.size())));
  const Status status = quantize_row(type, row, std::as_writable_bytes(std::span(out)));
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

/// IEEE 754 binary16 by its definition.
double half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int mantissa = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return bits >> 15 ? -magnitude : magnitude;
}

TEST(Float16, EveryHalfWidensExactlyAndNarrowsBack) {
  for (std::uint32_t i = 0; i < 65'536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = float_from_f16(bits);
    if ((bits & 0x7c00) == 0x7c00) {
      EXPECT_EQ(std::isnan(value), (bits & 0x3ff) != 0);
      if (std::isinf(value)) {
        EXPECT_EQ(f16_from_float(value), bits);
      }
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), half_value(bits)) << bits;
    ASSERT_EQ(f16_from_float(value), bits) << value;
  }
  EXPECT_TRUE(std::isnan(float_from_f16(f16_from_float(std::nanf("")))));
}

TEST(Float16, NarrowingRoundsToTheNearestTiesToEven) {
  for (std::uint16_t bits = 0; bits < 0x7bff; ++bits) {
    const double low = half_value(bits);
    const double high = half_value(static_cast<std::uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2);  // exact
    const auto up = static_cast<std::uint16_t>(bits + 1);
    ASSERT_EQ(f16_from_float(middle), bits % 2 == 0 ? bits : up) << bits;
    ASSERT_EQ(f16_from_float(std::nextafter(middle, 0.0f)), bits) << bits;
    ASSERT_EQ(f16_from_float(std::nextafter(middle, 1e9f)), up) << bits;
    ASSERT_EQ(f16_from_float(-middle), 0x8000 | (bits % 2 == 0 ? bits : up)) << bits;
  }
  EXPECT_EQ(f16_from_float(65519.0f), 0x7bff);
  EXPECT_EQ(f16_from_float(65520.0f), 0x7c00);
  EXPECT_EQ(f16_from_float(1e-30f), 0);
}

TEST(GgmlBlocks, PlainFloats) {
  EXPECT_EQ(dequantized(GgmlType::kF32, as_bytes(raw(1.5f) + raw(-0.1f))),
            (std::vector<float>{1.5f, -0.1f}));
  EXPECT_EQ(dequantized(GgmlType::kF16, as_bytes(std::string_view("\x00\x3c\x00\xc1", 4))),
            (std::vector<float>{1.0f, -2.5f}));
  EXPECT_EQ(dequantized(GgmlType::kBF16, as_bytes(std::string_view("\x80\x3f\x20\xc0", 4))),
            (std::vector<float>{1.0f, -2.5f}));
}

TEST(GgmlBlocks, Q8_0ByHand) {
  // amax 127 * 0.5: d = 0.5 = 0x3800; halves round away from zero.
  std::vector<float> row(32, 0.0f);
  row[0] = -63.5f;
  row[1] = 0.25f;   // 0.5 -> 1
  row[2] = -0.75f;  // -1.5 -> -2
  row[3] = 0.2f;    // 0.4 -> 0
  row[31] = 10.0f;
  Bytes expected(34, 0);
  expected[1] = 0x38;
  expected[2] = 0x81;  // -127
  expected[3] = 1;
  expected[4] = 0xfe;
  expected[33] = 20;
  EXPECT_EQ(quantized(GgmlType::kQ8_0, row), expected);
  std::vector<float> back(32, 0.0f);
  back[0] = -63.5f;
  back[1] = 0.5f;
  back[2] = -1.0f;
  back[31] = 10.0f;
  EXPECT_EQ(dequantized(GgmlType::kQ8_0, as_bytes(expected)), back);
}

TEST(GgmlBlocks, Q8_0RoundsByTheScaleBeforeItIsStored) {
  // 1/127 is stored as 0x2008, which is less: by that scale 0.49998 would be 63.501 steps,
  // not 63.497.
  std::vector<float> row(32, 0.0f);
  row[0] = 1.0f;
  row[1] = 0.5f;
  row[2] = 0.49998f;
  const Bytes block = quantized(GgmlType::kQ8_0, row);
  EXPECT_EQ(block[0], 0x08);
  EXPECT_EQ(block[1], 0x20);
  EXPECT_EQ(block[2], 127);
  EXPECT_EQ(block[3], 64);
  EXPECT_EQ(block[4], 63);
}

TEST(GgmlBlocks, Q4_0ByHand) {
  // Largest magnitude -4: d = 0.5 = 0x3800, -4 -> nibble 0; +4 would need 16 and becomes 15.
  std::vector<float> row(32, 0.0f);
  row[0] = -4.0f;
  row[1] = 4.0f;
  row[2] = 0.25f;   // 0.5 + 8.5 -> 9
  row[16] = -0.3f;  // -0.6 + 8.5 = 7.9 -> 7
  row[17] = 1.0f;   // 10
  Bytes expected(18, 0x88);
  expected[0] = 0x00;
  expected[1] = 0x38;
  expected[2] = 0x70;
  expected[3] = 0xaf;
  expected[4] = 0x89;
  EXPECT_EQ(quantized(GgmlType::kQ4_0, row), expected);
  std::vector<float> back(32, 0.0f);
  back[0] = -4.0f;
  back[1] = 3.5f;
  back[2] = 0.5f;
  back[16] = -0.5f;
  back[17] = 1.0f;
  EXPECT_EQ(dequantized(GgmlType::kQ4_0, as_bytes(expected)), back);
}

TEST(GgmlBlocks, Q4_0TakesTheFirstOfEqualMagnitudes) {
  std::vector<float> row(32, 0.0f);
  row[5] = 8.0f;
  row[6] = -8.0f;
  const Bytes block = quantized(GgmlType::kQ4_0, row);
  EXPECT_EQ(block[1], 0xbc);  // d = -1
  EXPECT_EQ(block[2 + 5] & 15, 0);
  EXPECT_EQ(block[2 + 6] & 15, 15);
}

TEST(GgmlBlocks, ZerosAndTinyNumbersStayZero) {
  for (const float value : {0.0f, 1e-40f, 1e-45f}) {
    const std::vector<float> row(64, value);
    for (const GgmlType type : {GgmlType::kQ8_0, GgmlType::kQ4_0}) {
      const Bytes block = quantized(type, row);
      for (const float back : dequantized(type, as_bytes(block))) EXPECT_EQ(back, 0.0f);
    }
  }
}

TEST(GgmlBlocks, ErrorsStayWithinHalfAStep) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> row(1024);
  for (float& value : row) value = normal(random);
  const auto q8 = dequantized(GgmlType::kQ8_0, as_bytes(quantized(GgmlType::kQ8_0, row)));
  const auto q4 = dequantized(GgmlType::kQ4_0, as_bytes(quantized(GgmlType::kQ4_0, row)));
  for (std::size_t block = 0; block < row.size(); block += 32) {
    float largest = 0;
    for (std::size_t i = block; i < block + 32; ++i) largest = std::max(largest, std::fabs(row[i]));
    // Half a step, a whole one at the end that Q4_0 lacks; and the scale's own rounding, 2^-11.
    for (std::size_t i = block; i < block + 32; ++i) {
      EXPECT_NEAR(q8[i], row[i], largest / 127 / 2 + largest / 2048);
      EXPECT_NEAR(q4[i], row[i], largest / 8 + largest / 2048);
    }
  }
}

TEST(GgmlBlocks, NonFiniteNumbersAreErrors) {
  constexpr auto kNonFinite = ErrorCode::kNonFinite;
  std::vector<float> row(64, 1.0f);
  std::vector<std::byte> out(68);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    row[33] = bad;
    expect_error(quantize_row(GgmlType::kQ8_0, row, out), kNonFinite, {"column 33"});
  }
  row[33] = 8'321'040.0f;  // 127 * 65520
  expect_error(quantize_row(GgmlType::kQ8_0, row, out), kNonFinite,
               {"column 32", "too large for Q8_0"});
  row[33] = std::nextafter(row[33], 0.0f);
  EXPECT_TRUE(quantize_row(GgmlType::kQ8_0, row, out).ok());
  EXPECT_EQ(dequantized(GgmlType::kQ8_0, out)[33], 127 * 65'504.0f);
  out.resize(36);
  row[33] = -524'160.0f;
  expect_error(quantize_row(GgmlType::kQ4_0, row, out), kNonFinite, {"too large for Q4_0"});

  std::vector<float> floats(32);
  Bytes block(34, 1);
  block[1] = 0x7c;  // the scale is NaN
  expect_error(dequantize_row(GgmlType::kQ8_0, as_bytes(block), floats), kNonFinite, {"column 0"});
  expect_error(dequantize_row(GgmlType::kF32, as_bytes(raw(1.0f) + raw(std::nanf(""))),
                              std::span(floats).first(2)),
               kNonFinite, {"column 1"});
}

TEST(GgmlBlocks, TypesWithoutCodecAreErrors) {
  std::vector<float> floats(256);
  std::vector<std::byte> bytes(176);
  expect_error(dequantize_row(GgmlType::kQ5_K, bytes, floats), ErrorCode::kUnsupported,
               {"type Q5_K", "Q4_K"});
  bytes.resize(144);
  expect_error(quantize_row(GgmlType::kQ4_K, floats, bytes), ErrorCode::kUnsupported,
               {"quantize to type Q4_K", "Q8_0"});
}

// The K types: the test packs numbers that it knows and computes them from their definition.

TEST(GgmlBlocks, Q4_KByItsDefinition) {
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    unsigned scales[8], minima[8], numbers[256];
    for (auto& scale : scales) scale = random() % 64;
    for (auto& minimum : minima) minimum = random() % 64;
    for (auto& number : numbers) number = random() % 16;
    const auto d = static_cast<std::uint16_t>(random() % 0x7c00);
    const auto dmin = static_cast<std::uint16_t>(random() % 0x7c00);

    // Bytes 0-3: low six bits of scales 0-3, above them the two high bits of scales 4-7. Bytes 4-7
    // the same for minima. Bytes 8-11: low four bits of scales 4-7, above them those of minima 4-7.
    std::string block = raw(d) + raw(dmin);
    for (int i = 0; i < 4; ++i) block += static_cast<char>(scales[i] | scales[i + 4] >> 4 << 6);
    for (int i = 0; i < 4; ++i) block += static_cast<char>(minima[i] | minima[i + 4] >> 4 << 6);
    for (int i = 4; i < 8; ++i)
      block += static_cast<char>((scales[i] & 15) | (minima[i] & 15) << 4);
    // Each 64 numbers take 32 bytes: the first 32 are the low nibbles, the others the high ones.
    for (int i = 0; i < 256; i += 64) {
      for (int j = 0; j < 32; ++j)
        block += static_cast<char>(numbers[i + j] | numbers[i + 32 + j] << 4);
    }
    ASSERT_EQ(block.size(), 144u);

    const std::vector<float> values = dequantized(GgmlType::kQ4_K, as_bytes(block));
    for (int i = 0; i < 256; ++i) {
      const double exact =
          half_value(d) * scales[i / 32] * numbers[i] - half_value(dmin) * minima[i / 32];
      ASSERT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(exact)) << i;
    }
  }
}

TEST(GgmlBlocks, Q6_KByItsDefinition) {
  std::mt19937 random(6);
  for (int round = 0; round < 50; ++round) {
    int scales[16], numbers[256];
    for (auto& scale : scales) scale = static_cast<int>(random() % 256) - 128;
    for (auto& number : numbers) number = static_cast<int>(random() % 64);
    const auto d = static_cast<std::uint16_t>(random() % 0x7c00);

    // Each half of 128 numbers is four runs a, b, c, d of 32. Low nibbles: a | c << 4, then
    // b | d << 4. High pairs of bits: a | b << 2 | c << 4 | d << 6.
    std::string low, high, middle;
    for (int half = 0; half < 256; half += 128) {
      const int* run = numbers + half;
      for (int i = 0; i < 64; ++i)
        low += static_cast<char>((run[i] & 15) | (run[i + 64] & 15) << 4);
      for (int i = 0; i < 32; ++i) {
        high += static_cast<char>(run[i] >> 4 | run[i + 32] >> 4 << 2 | run[i + 64] >> 4 << 4 |
                                  run[i + 96] >> 4 << 6);
      }
    }
    for (const int scale : scales) middle += static_cast<char>(scale);
    const std::string block = low + high + middle + raw(d);
    ASSERT_EQ(block.size(), 210u);

    const std::vector<float> values = dequantized(GgmlType::kQ6_K, as_bytes(block));
    for (int i = 0; i < 256; ++i) {
      const double exact = half_value(d) * scales[i / 16] * (numbers[i] - 32);
      ASSERT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(exact)) << i;
    }
  }
}

TEST(GgmlBlocksDeathTest, WrongSizesAreOurBug) {
  std::vector<float> floats(32);
  std::vector<std::byte> bytes(33);
  EXPECT_DEATH((void)dequantize_row(GgmlType::kQ8_0, bytes, floats), "internal error");
  EXPECT_DEATH((void)row_bytes(GgmlType::kQ8_0, 33), "internal error");
}

}  // namespace
}  // namespace qwen3guard::bytes
