// Quantized products: every instruction set gives the bits of the scalar reference, and the scalar
// reference is the product of the values that weights and activations stand for.

#include "kernels/packed.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {
namespace {

constexpr float kEpsilon = std::numeric_limits<float>::epsilon();

std::vector<const Kernels*> tables() {
  return {available_kernels().begin(), available_kernels().end()};
}

struct Activations {
  std::vector<std::int8_t> values;
  std::vector<float> scales;
  std::vector<std::int32_t> bias_q8, bias_q4;
  QuantizedRows view;

  Activations(const Kernels& kernels, const std::vector<float>& x, std::size_t columns)
      : values(x.size()),
        scales(x.size() / kBlockColumns),
        bias_q8(scales.size()),
        bias_q4(scales.size()) {
    const std::size_t blocks = columns / kBlockColumns;
    for (std::size_t t = 0; t * columns < x.size(); ++t) {
      kernels.quantize(&x[t * columns], columns, &values[t * columns], &scales[t * blocks],
                       &bias_q8[t * blocks], &bias_q4[t * blocks]);
    }
    view = {values.data(), scales.data(), bias_q8.data(), bias_q4.data(), columns};
  }
};

struct Packed {
  std::vector<std::uint8_t> values;
  std::vector<std::uint16_t> scales;
  PackedMatrix matrix;
};

class PackedTest : public testing::TestWithParam<const Kernels*> {
 protected:
  std::vector<float> random(std::size_t n) {
    std::normal_distribution<float> normal;
    std::vector<float> values(n);
    for (float& v : values) v = normal(generator_);
    return values;
  }

  Packed pack(PackedType type, std::size_t rows, std::size_t columns) {
    Packed packed;
    packed.matrix = {type, rows, columns, nullptr, nullptr};
    packed.values.resize(packed.matrix.value_bytes());
    packed.scales.resize(packed.matrix.scale_count());
    packed.matrix.values = packed.values.data();
    packed.matrix.scales = packed.scales.data();
    std::uniform_int_distribution<int> byte(0, 255);
    // Half floats between 2^-6 and 2^-4: any mantissa, a small exponent.
    const auto scale = [&] {
      return static_cast<std::uint16_t>(0x2400 + 4 * byte(generator_) + byte(generator_));
    };
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<Q8Block> q8(packed.matrix.blocks());
      std::vector<Q4Block> q4(packed.matrix.blocks());
      for (auto& block : q8) {
        block.scale = scale();
        for (auto& v : block.values) v = static_cast<std::int8_t>(byte(generator_) - 128);
      }
      for (auto& block : q4) {
        block.scale = scale();
        for (auto& v : block.values) v = static_cast<std::uint8_t>(byte(generator_));
      }
      if (type == PackedType::kQ8) {
        pack_row(packed.matrix, r, q8.data(), packed.values.data(), packed.scales.data());
      } else {
        pack_row(packed.matrix, r, q4.data(), packed.values.data(), packed.scales.data());
      }
    }
    return packed;
  }

  std::mt19937 generator_{11};
};

TEST_P(PackedTest, ProductsAreThoseOfTheQuantizedValuesAndTheSameBitsEverywhere) {
  for (const PackedType type : {PackedType::kQ8, PackedType::kQ4}) {
    for (const std::size_t columns : {32u, 96u, 256u}) {
      for (const std::size_t rows : {1u, 16u, 37u}) {
        for (const std::size_t tokens : {1u, 3u, 8u, 31u}) {
          const Packed packed = pack(type, rows, columns);
          const Activations x(*GetParam(), random(tokens * columns), columns);
          std::vector<float> out(tokens * rows), reference(tokens * rows);
          GetParam()->matmul_packed(packed.matrix, 0, packed.matrix.tiles(), x.view, tokens,
                                    out.data(), rows);
          scalar_kernels().matmul_packed(packed.matrix, 0, packed.matrix.tiles(), x.view, tokens,
                                         reference.data(), rows);
          ASSERT_EQ(out, reference) << "rows " << rows << " columns " << columns;
          std::vector<float> weights(columns);
          for (std::size_t r = 0; r < rows; ++r) {
            unpack_row(packed.matrix, r, weights.data());
            for (std::size_t t = 0; t < tokens; ++t) {
              double exact = 0, magnitude = 0;
              for (std::size_t c = 0; c < columns; ++c) {
                const double term = static_cast<double>(weights[c]) * x.values[t * columns + c] *
                                    x.scales[(t * columns + c) / kBlockColumns];
                exact += term;
                magnitude += std::abs(term);
              }
              const double blocks = static_cast<double>(columns / kBlockColumns);
              EXPECT_NEAR(out[t * rows + r], exact, (blocks + 2) * kEpsilon * magnitude);
            }
          }
        }
      }
    }
  }
}

TEST_P(PackedTest, TokensTogetherEqualTokensAloneBitForBit) {
  const std::size_t rows = 48, columns = 160, tokens = 29;
  for (const PackedType type : {PackedType::kQ8, PackedType::kQ4}) {
    const Packed packed = pack(type, rows, columns);
    const std::vector<float> x = random(tokens * columns);
    const Activations all(*GetParam(), x, columns);
    std::vector<float> together(tokens * rows), alone(tokens * rows);
    GetParam()->matmul_packed(packed.matrix, 0, 3, all.view, tokens, together.data(), rows);
    for (std::size_t t = 0; t < tokens; ++t) {
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>(t * columns);
      const Activations one(*GetParam(), {begin, begin + static_cast<std::ptrdiff_t>(columns)},
                            columns);
      for (std::size_t tile = 0; tile < 3; ++tile) {
        GetParam()->matmul_packed(packed.matrix, tile, tile + 1, one.view, 1, &alone[t * rows],
                                  rows);
      }
    }
    EXPECT_EQ(together, alone);
  }
}

TEST_P(PackedTest, QuantizeRoundsToTheNearestStepAndEqualsTheReference) {
  const std::size_t columns = 320;
  std::vector<float> x = random(columns);
  std::fill_n(x.begin(), 32, 0.0f);
  for (std::size_t i = 32; i < 64; ++i) x[i] *= 1e-30f;
  x[70] = 1e20f;
  const Activations mine(*GetParam(), x, columns), reference(scalar_kernels(), x, columns);
  EXPECT_EQ(mine.values, reference.values);
  EXPECT_EQ(mine.scales, reference.scales);
  EXPECT_EQ(mine.bias_q8, reference.bias_q8);
  EXPECT_EQ(mine.bias_q4, reference.bias_q4);
  for (std::size_t i = 0; i < columns; ++i) {
    const float scale = mine.scales[i / kBlockColumns];
    // Half a step, and the rounding of x * inverse and of the scale (values reach 127).
    EXPECT_LE(std::abs(x[i] - scale * mine.values[i]), scale * (0.5f + 127 * 3 * kEpsilon));
  }
}

TEST_P(PackedTest, NaNAndInfinityAreNeverHidden) {
  const std::size_t columns = 64;
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> x = random(columns);
    x[40] = bad;
    for (const PackedType type : {PackedType::kQ8, PackedType::kQ4}) {
      const Packed packed = pack(type, 16, columns);
      const Activations quantized(*GetParam(), x, columns);
      std::vector<float> out(16);
      GetParam()->matmul_packed(packed.matrix, 0, 1, quantized.view, 1, out.data(), 16);
      for (const float v : out) EXPECT_FALSE(std::isfinite(v));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllSets, PackedTest, testing::ValuesIn(tables()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST(Pack, KeepsEveryValue) {
  Q8Block q8{0x3c00, {}};
  Q4Block q4{0xc000, {}};
  for (int c = 0; c < 32; ++c) q8.values[c] = static_cast<std::int8_t>(c * 8 - 127);
  for (int c = 0; c < 16; ++c) q4.values[c] = static_cast<std::uint8_t>(c | (15 - c) << 4);
  for (const PackedType type : {PackedType::kQ8, PackedType::kQ4}) {
    Packed packed;
    packed.matrix = {type, 20, 32, nullptr, nullptr};
    packed.values.resize(packed.matrix.value_bytes());
    packed.scales.resize(packed.matrix.scale_count());
    packed.matrix.values = packed.values.data();
    packed.matrix.scales = packed.scales.data();
    std::vector<float> row(32);
    if (type == PackedType::kQ8) {
      pack_row(packed.matrix, 17, &q8, packed.values.data(), packed.scales.data());
      unpack_row(packed.matrix, 17, row.data());
      for (int c = 0; c < 32; ++c) EXPECT_EQ(row[static_cast<std::size_t>(c)], c * 8 - 127);
    } else {
      pack_row(packed.matrix, 17, &q4, packed.values.data(), packed.scales.data());
      unpack_row(packed.matrix, 17, row.data());
      for (int c = 0; c < 16; ++c) {
        EXPECT_EQ(row[static_cast<std::size_t>(c)], -2 * (c - 8));
        EXPECT_EQ(row[static_cast<std::size_t>(c + 16)], -2 * (15 - c - 8));
      }
    }
  }
}

}  // namespace
}  // namespace qwen3guard::kernels
