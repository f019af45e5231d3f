// Every instruction set runs the same body against the scalar reference. Tolerances follow from the
// rounding error of a sum of n products: n * epsilon * sum |a_i b_i| bounds either order of
// addition.

#include "kernels/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/widen.h"
#include "tables.h"

namespace qwen3guard::kernels {
namespace {

class KernelsTest : public testing::TestWithParam<const Kernels*> {
 protected:
  std::vector<float> random(std::size_t n) {
    std::normal_distribution<float> normal;
    std::vector<float> values(n);
    for (float& v : values) v = normal(generator_);
    return values;
  }

  // Weights in `type`, at an odd address, and the values they stand for.
  struct Stored {
    std::vector<std::byte> bytes;
    Matrix matrix;
    std::vector<float> values;
  };
  Stored store(std::size_t rows, std::size_t columns, WeightType type) {
    Stored stored;
    const std::vector<float> values = random(rows * columns);
    const std::size_t size = type == WeightType::kF32 ? 4 : 2;
    stored.bytes.resize(1 + values.size() * size);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (type == WeightType::kF32) {
        std::memcpy(&stored.bytes[1 + 4 * i], &values[i], 4);
      } else {
        // The upper half is a BF16 value; as F16 bits it is some finite half for |v| < 2^9.
        auto bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(values[i]) >> 16);
        if (type == WeightType::kF16) bits = static_cast<std::uint16_t>(bits & 0xbfffu);
        std::memcpy(&stored.bytes[1 + 2 * i], &bits, 2);
      }
    }
    stored.matrix = {stored.bytes.data() + 1, type, rows, columns};
    stored.values.resize(values.size());
    for (std::size_t r = 0; r < rows; ++r) {
      widen_row(stored.matrix.row(r), type, columns, &stored.values[r * columns]);
    }
    return stored;
  }

  std::mt19937 generator_{7};
};

TEST_P(KernelsTest, MatmulEqualsTheExactSumWithinRounding) {
  for (const WeightType type : {WeightType::kF32, WeightType::kBF16, WeightType::kF16}) {
    for (const std::size_t n : {1u, 7u, 8u, 33u, 256u, 1000u}) {
      for (const std::size_t tokens : {1u, 2u, 3u, 7u, 13u}) {
        const std::size_t rows = 11;
        const Stored weights = store(rows, n, type);
        const std::vector<float> x = random(tokens * n);
        std::vector<float> out(tokens * rows, -1.0f);
        GetParam()->matmul(weights.matrix, 2, rows, x.data(), tokens, out.data(), rows);
        for (std::size_t t = 0; t < tokens; ++t) {
          EXPECT_EQ(out[t * rows], -1.0f) << "a row outside the range was written";
          for (std::size_t r = 2; r < rows; ++r) {
            double exact = 0, magnitude = 0;
            for (std::size_t i = 0; i < n; ++i) {
              const double term = static_cast<double>(x[t * n + i]) * weights.values[r * n + i];
              exact += term;
              magnitude += std::abs(term);
            }
            EXPECT_NEAR(out[t * rows + r], exact,
                        static_cast<double>(n) * kEpsilon * magnitude + 1e-30);
          }
        }
      }
    }
  }
}

TEST_P(KernelsTest, MatmulIsBatchInvariantBitForBit) {
  const std::size_t n = 133, rows = 14, tokens = 17;
  for (const WeightType type : {WeightType::kF32, WeightType::kBF16, WeightType::kF16}) {
    const Stored weights = store(rows, n, type);
    const std::vector<float> x = random(tokens * n);
    std::vector<float> together(tokens * rows), alone(tokens * rows);
    GetParam()->matmul(weights.matrix, 0, rows, x.data(), tokens, together.data(), rows);
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t r = 0; r < rows; ++r) {
        GetParam()->matmul(weights.matrix, r, r + 1, &x[t * n], 1, &alone[t * rows], rows);
      }
    }
    EXPECT_EQ(together, alone);
  }
}

TEST_P(KernelsTest, RmsNormFollowsItsFormula) {
  for (const std::size_t n : {2u, 16u, 100u, 1024u}) {
    const std::vector<float> x = random(n), weight = random(n);
    std::vector<float> out = x;  // in place
    GetParam()->rms_norm(out.data(), weight.data(), n, 1e-6f, out.data());
    double squares = 0;
    for (const float v : x) squares += static_cast<double>(v) * v;
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-6);
    for (std::size_t i = 0; i < n; ++i) {
      const double exact = x[i] * inverse * weight[i];
      EXPECT_NEAR(out[i], exact, (static_cast<double>(n) + 4) * kEpsilon * std::abs(exact) + 1e-30);
    }
  }
}

// One block of a cache, filled through store_kv, and the numbers it then holds.
struct CacheBlock {
  std::vector<std::byte> keys, values;
  std::vector<float> key_rows, value_rows;  // [used, n]
};
CacheBlock fill(const Kernels& kernels, CacheType type, std::size_t used, std::size_t n,
                const std::vector<float>& numbers) {
  const std::size_t bytes = kKvBlock * n * (type == CacheType::kF32 ? 4 : 2);
  CacheBlock block{std::vector<std::byte>(bytes), std::vector<std::byte>(bytes), {}, {}};
  for (std::size_t j = 0; j < used; ++j) {
    kernels.store_kv(type, &numbers[2 * j * n], &numbers[(2 * j + 1) * n], n, j, block.keys.data(),
                     block.values.data());
  }
  const auto kept = [&](float v) {
    return type == CacheType::kF32 ? v : float_from_f16(f16_from_float(v));
  };
  for (std::size_t j = 0; j < used; ++j) {
    for (std::size_t i = 0; i < n; ++i) {
      block.key_rows.push_back(kept(numbers[2 * j * n + i]));
      block.value_rows.push_back(kept(numbers[(2 * j + 1) * n + i]));
    }
  }
  return block;
}

TEST_P(KernelsTest, AttentionPiecesFollowTheirFormulas) {
  for (const CacheType type : {CacheType::kF32, CacheType::kF16}) {
    for (const std::size_t n : {6u, 20u, 128u}) {
      for (const std::size_t used : {1u, 9u, 64u}) {
        for (const std::size_t count : {1u, 5u, 16u}) {
          const CacheBlock block = fill(*GetParam(), type, used, n, random(2 * used * n));
          const std::vector<float> queries = random(count * n), weights = random(count * kKvBlock);
          std::vector<float> scores(count * kKvBlock), out = random(count * n);
          const std::vector<float> before = out;
          GetParam()->score_keys(type, queries.data(), count, n, block.keys.data(), used, 0.5f,
                                 scores.data(), kKvBlock);
          GetParam()->add_values(type, weights.data(), kKvBlock, count, block.values.data(), used,
                                 n, out.data());
          for (std::size_t q = 0; q < count; ++q) {
            for (std::size_t j = 0; j < used; ++j) {
              double exact = 0, magnitude = 0;
              for (std::size_t i = 0; i < n; ++i) {
                const double term = 0.5 * queries[q * n + i] * block.key_rows[j * n + i];
                exact += term;
                magnitude += std::abs(term);
              }
              EXPECT_NEAR(scores[q * kKvBlock + j], exact,
                          static_cast<double>(n) * kEpsilon * magnitude);
            }
            for (std::size_t i = 0; i < n; ++i) {
              double exact = before[q * n + i], magnitude = std::abs(exact);
              for (std::size_t j = 0; j < used; ++j) {
                const double term =
                    static_cast<double>(weights[q * kKvBlock + j]) * block.value_rows[j * n + i];
                exact += term;
                magnitude += std::abs(term);
              }
              EXPECT_NEAR(out[q * n + i], exact,
                          static_cast<double>(used + 1) * kEpsilon * magnitude);
            }
          }
        }
      }
    }
  }
}

TEST_P(KernelsTest, WhatAHalfFloatCannotHoldIsNotOverlooked) {
  const std::size_t n = 20;
  for (const float large : {1e6f, -1e6f, 65520.0f}) {
    for (const std::size_t at : {0u, 17u}) {
      std::vector<float> key(n, 1.0f), query(n, -1.0f), scores(kKvBlock);
      key[at] = large;
      std::vector<std::byte> keys(kKvBlock * n * 2), values(keys.size());
      GetParam()->store_kv(CacheType::kF16, key.data(), key.data(), n, 0, keys.data(),
                           values.data());
      GetParam()->score_keys(CacheType::kF16, query.data(), 1, n, keys.data(), 1, 1.0f,
                             scores.data(), kKvBlock);
      EXPECT_TRUE(std::isnan(scores[0])) << large;
    }
  }
}

TEST_P(KernelsTest, QueriesTogetherEqualQueriesAloneBitForBit) {
  const std::size_t n = 72, used = 50, count = 13;
  for (const CacheType type : {CacheType::kF32, CacheType::kF16}) {
    const CacheBlock block = fill(*GetParam(), type, used, n, random(2 * used * n));
    const std::vector<float> queries = random(count * n);
    std::vector<float> scores(count * kKvBlock), alone(count * kKvBlock);
    std::vector<float> sums(count * n), sums_alone(count * n);
    GetParam()->score_keys(type, queries.data(), count, n, block.keys.data(), used, 1.0f,
                           scores.data(), kKvBlock);
    GetParam()->add_values(type, scores.data(), kKvBlock, count, block.values.data(), used, n,
                           sums.data());
    for (std::size_t q = 0; q < count; ++q) {
      GetParam()->score_keys(type, &queries[q * n], 1, n, block.keys.data(), used, 1.0f,
                             &alone[q * kKvBlock], kKvBlock);
      GetParam()->add_values(type, &alone[q * kKvBlock], kKvBlock, 1, block.values.data(), used, n,
                             &sums_alone[q * n]);
    }
    EXPECT_EQ(sums, sums_alone);
  }
}

TEST_P(KernelsTest, SoftmaxFollowsItsFormulaAndHidesNoNaN) {
  for (const std::size_t n : {1u, 7u, 16u, 100u}) {
    std::vector<float> x = random(n);
    x[0] += 3.0f;
    if (n > 7) x[5] = -500.0f;
    const std::vector<float> before = x;
    GetParam()->softmax(x.data(), n);
    double sum = 0;
    for (const float v : before) sum += std::exp(static_cast<double>(v));
    for (std::size_t i = 0; i < n; ++i) {
      // The rounding of x - max is the argument's; exp turns it into a relative error.
      const double exact = std::exp(static_cast<double>(before[i])) / sum;
      EXPECT_NEAR(x[i], exact, (static_cast<double>(n) + 16) * kEpsilon * exact + 1e-37);
    }
  }
  std::vector<float> x = random(20);
  x[11] = std::numeric_limits<float>::quiet_NaN();
  GetParam()->softmax(x.data(), x.size());
  EXPECT_TRUE(std::isnan(x[11]));
}

TEST_P(KernelsTest, SiluMulFollowsItsFormulaAndSurvivesLargeInputs) {
  std::vector<float> gate = random(37), up = random(37);
  gate[0] = 200.0f;
  gate[1] = -200.0f;
  const std::vector<float> before = gate;
  GetParam()->silu_mul(gate.data(), up.data(), gate.size());
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const double exact = before[i] / (1.0 + std::exp(-static_cast<double>(before[i]))) * up[i];
    EXPECT_NEAR(gate[i], exact, 8 * kEpsilon * std::abs(exact) + 1e-30);
  }
}

// In a child process each: the choice is made once.
TEST_P(KernelsTest, IsChosenByName) {
  const auto choose = [] {
    ::setenv("QWEN3GUARD_ISA", GetParam()->name, 1);
    std::exit(&active_kernels() == GetParam() ? 0 : 1);
  };
  EXPECT_EXIT(choose(), testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(AllSets, KernelsTest, testing::ValuesIn(tables()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST(Dispatch, EndsTheProgramWhenTheForcedTableIsImpossibleHere) {
#if defined(__aarch64__)
  constexpr const char* kOther = "avx2";
#else
  constexpr const char* kOther = "neon";
#endif
  const auto choose = [] {
    ::setenv("QWEN3GUARD_ISA", kOther, 1);
    active_kernels();
  };
  EXPECT_EXIT(choose(), testing::ExitedWithCode(2), "not available on this CPU; expected one of");
}

TEST(Widen, HalfPrecisionSpecialValues) {
  const std::vector<std::pair<std::uint16_t, float>> cases = {
      {0x0000, 0.0f},
      {0x8000, -0.0f},
      {0x3c00, 1.0f},
      {0xc000, -2.0f},
      {0x7bff, 65504.0f},
      {0x0001, 0x1p-24f},
      {0x03ff, 1023 * 0x1p-24f},
      {0x0400, 0x1p-14f},
      {0x7c00, std::numeric_limits<float>::infinity()}};
  for (const auto& [bits, value] : cases) {
    float widened = 0;
    widen_row(reinterpret_cast<const std::byte*>(&bits), WeightType::kF16, 1, &widened);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(widened), std::bit_cast<std::uint32_t>(value)) << bits;
  }
}

TEST(Narrow, RoundsToTheNearestHalfAndBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_f16(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_from_f16(f16_from_float(value))));
    } else {
      ASSERT_EQ(f16_from_float(value), half) << bits;
      if ((bits & 0x7fff) < 0x7bff) {  // halfway to the next: ties go to the even one
        const float next = float_from_f16(static_cast<std::uint16_t>(bits + 1));
        ASSERT_EQ(f16_from_float((value + next) / 2), bits % 2 == 0 ? bits : bits + 1) << bits;
      }
    }
  }
  EXPECT_EQ(f16_from_float(65519.0f), 0x7bff);
  EXPECT_EQ(f16_from_float(-65520.0f), 0xfc00);
}

TEST(Rope, RotatesPairsByTheAngleOfTheirFrequency) {
  const std::size_t n = 8;
  std::vector<float> cosines(4), sines(4);
  rope_angles(5, 10000.0, n, cosines.data(), sines.data());
  std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8};
  rope(x.data(), cosines.data(), sines.data(), n);
  for (std::size_t j = 0; j < 4; ++j) {
    const double angle = 5.0 * std::pow(10000.0, -2.0 * static_cast<double>(j) / 8.0);
    const double low = static_cast<double>(j) + 1, high = low + 4;
    EXPECT_NEAR(x[j], low * std::cos(angle) - high * std::sin(angle), 32 * kEpsilon * high);
    EXPECT_NEAR(x[j + 4], high * std::cos(angle) + low * std::sin(angle), 32 * kEpsilon * high);
  }
}

TEST(Softmax, SumsToOneAndSurvivesLargeLogits) {
  std::vector<float> p = {1000.0f, 1000.0f, -1000.0f};
  softmax(p.data(), p.size());
  EXPECT_FLOAT_EQ(p[0], 0.5f);
  EXPECT_FLOAT_EQ(p[1], 0.5f);
  EXPECT_EQ(p[2], 0.0f);
}

}  // namespace
}  // namespace qwen3guard::kernels
