// Quantized products: every instruction set gives the bits of the scalar reference, and the scalar
// reference is the product of the values that weights and activations stand for.

#include "kernels/packed.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tables.h"

namespace qwen3guard::kernels {
namespace {

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

// Of one block as GGUF stores it.
std::size_t block_bytes(PackedType type) { return type == PackedType::kQ8 ? 34 : 18; }

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
    std::vector<std::byte> blocks(packed.matrix.blocks() * block_bytes(type));
    for (std::size_t r = 0; r < rows; ++r) {
      for (auto& b : blocks) b = static_cast<std::byte>(generator_() & 255);
      for (std::size_t b = 0; b < blocks.size(); b += block_bytes(type)) {
        // A half float between 2^-6 and 2^-4: any mantissa, a small exponent.
        const auto scale = 0x2400 + generator_() % 1276;
        blocks[b] = static_cast<std::byte>(scale & 255);
        blocks[b + 1] = static_cast<std::byte>(scale >> 8);
      }
      EXPECT_TRUE(pack_row(packed.matrix, r, blocks, packed.values.data(), packed.scales.data()));
    }
    return packed;
  }

  std::mt19937 generator_{11};
};

TEST_P(PackedTest, ProductsAreThoseOfTheQuantizedValuesAndTheSameBitsEverywhere) {
  for (const PackedType type : {PackedType::kQ8, PackedType::kQ4}) {
    for (const std::size_t columns : {32u, 96u, 160u, 224u, 256u, 320u}) {
      for (const std::size_t rows : {1u, 16u, 37u}) {
        for (const std::size_t tokens : {1u, 3u, 5u, 8u, 11u, 16u, 31u, 45u}) {
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

// The reference itself is compiled for each processor: these bits were written down on one. Inputs
// are drawn as integers, since libraries may round a normal distribution differently.
TEST_P(PackedTest, BitsAreThoseOfEveryOtherProcessor) {
  const std::size_t rows = 37, columns = 96, tokens = 7;
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const PackedType type : {PackedType::kQ8, PackedType::kQ4}) {
    const Packed packed = pack(type, rows, columns);
    std::vector<float> x(tokens * columns), out(tokens * rows);
    for (float& v : x) v = static_cast<float>(static_cast<int>(generator_() % 20001) - 10000);
    const Activations quantized(*GetParam(), x, columns);
    GetParam()->matmul_packed(packed.matrix, 0, packed.matrix.tiles(), quantized.view, tokens,
                              out.data(), rows);
    for (const float v : out) hash = (hash ^ std::bit_cast<std::uint32_t>(v)) * 16777619u;
  }
  EXPECT_EQ(hash, 918082800u);
}

TEST_P(PackedTest, QuantizeRoundsToTheNearestStepAndEqualsTheReference) {
  const std::size_t columns = 320;
  std::vector<float> x = random(columns);
  std::fill_n(x.begin(), 32, 0.0f);
  for (std::size_t i = 32; i < 64; ++i) x[i] *= 1e-30f;
  for (std::size_t i = 96; i < 128; ++i) x[i] *= 1e-38f;  // 127 / the largest overflows
  x[70] = 1e20f;
  const Activations mine(*GetParam(), x, columns), reference(scalar_kernels(), x, columns);
  EXPECT_EQ(mine.values, reference.values);
  EXPECT_EQ(mine.scales, reference.scales);
  EXPECT_EQ(mine.bias_q8, reference.bias_q8);
  EXPECT_EQ(mine.bias_q4, reference.bias_q4);
  for (std::size_t i = 0; i < columns; ++i) {
    if (i / kBlockColumns == 3) continue;
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
      EXPECT_EQ(quantized.values, Activations(scalar_kernels(), x, columns).values);
      std::vector<float> out(16);
      GetParam()->matmul_packed(packed.matrix, 0, 1, quantized.view, 1, out.data(), 16);
      for (const float v : out) EXPECT_FALSE(std::isfinite(v));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllSets, PackedTest, testing::ValuesIn(tables()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST(Pack, KeepsEveryValueAndRefusesScalesThatAreNotFinite) {
  for (const PackedType type : {PackedType::kQ8, PackedType::kQ4}) {
    Packed packed;
    packed.matrix = {type, 20, 32, nullptr, nullptr};
    packed.values.resize(packed.matrix.value_bytes());
    packed.scales.resize(packed.matrix.scale_count());
    packed.matrix.values = packed.values.data();
    packed.matrix.scales = packed.scales.data();
    std::vector<std::byte> block(block_bytes(type));
    const auto set_scale = [&](std::uint16_t half) {
      block[0] = static_cast<std::byte>(half & 255);
      block[1] = static_cast<std::byte>(half >> 8);
    };
    const auto pack = [&] {
      return pack_row(packed.matrix, 17, block, packed.values.data(), packed.scales.data());
    };
    std::vector<float> row(32);
    set_scale(0xc000);  // -2
    if (type == PackedType::kQ8) {
      for (int c = 0; c < 32; ++c)
        block[static_cast<std::size_t>(2 + c)] = static_cast<std::byte>(c * 8 - 127);
      ASSERT_TRUE(pack());
      unpack_row(packed.matrix, 17, row.data());
      for (int c = 0; c < 32; ++c) EXPECT_EQ(row[static_cast<std::size_t>(c)], -2 * (c * 8 - 127));
    } else {
      for (int c = 0; c < 16; ++c)
        block[static_cast<std::size_t>(2 + c)] = static_cast<std::byte>(c | (15 - c) << 4);
      ASSERT_TRUE(pack());
      unpack_row(packed.matrix, 17, row.data());
      for (int c = 0; c < 16; ++c) {
        EXPECT_EQ(row[static_cast<std::size_t>(c)], -2 * (c - 8));
        EXPECT_EQ(row[static_cast<std::size_t>(c + 16)], -2 * (15 - c - 8));
      }
    }
    for (const int bad : {0x7c00, 0xfc00, 0x7e01}) {
      set_scale(static_cast<std::uint16_t>(bad));
      EXPECT_FALSE(pack());
    }
  }
}

}  // namespace
}  // namespace qwen3guard::kernels
