// Every instruction set runs the same body against the scalar reference. Tolerances follow from the
// rounding error of a sum of n products: n * epsilon * sum |a_i b_i| bounds either order of
// addition.

#include "kernels/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace qwen3guard::kernels {
namespace {

constexpr float kEpsilon = std::numeric_limits<float>::epsilon();

std::vector<const Kernels*> tables() {
  std::vector<const Kernels*> all = {&scalar_kernels()};
  if (avx2_kernels() != nullptr) all.push_back(avx2_kernels());
  if (avx512_kernels() != nullptr) all.push_back(avx512_kernels());
  return all;
}

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

TEST_P(KernelsTest, AttentionPiecesFollowTheirFormulas) {
  const std::size_t n = 20, count = 9;
  const std::vector<float> query = random(n), rows = random(count * n), weights = random(count);
  std::vector<float> scores(count), out = random(n);
  const std::vector<float> before = out;
  GetParam()->score_keys(query.data(), rows.data(), count, n, 0.5f, scores.data());
  GetParam()->add_values(weights.data(), rows.data(), count, n, out.data());
  for (std::size_t j = 0; j < count; ++j) {
    double exact = 0, magnitude = 0;
    for (std::size_t i = 0; i < n; ++i) {
      exact += 0.5 * query[i] * rows[j * n + i];
      magnitude += std::abs(0.5 * query[i] * rows[j * n + i]);
    }
    EXPECT_NEAR(scores[j], exact, static_cast<double>(n) * kEpsilon * magnitude);
  }
  for (std::size_t i = 0; i < n; ++i) {
    double exact = before[i], magnitude = std::abs(before[i]);
    for (std::size_t j = 0; j < count; ++j) {
      exact += static_cast<double>(weights[j]) * rows[j * n + i];
      magnitude += std::abs(static_cast<double>(weights[j]) * rows[j * n + i]);
    }
    EXPECT_NEAR(out[i], exact, static_cast<double>(count + 1) * kEpsilon * magnitude);
  }
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

INSTANTIATE_TEST_SUITE_P(AllSets, KernelsTest, testing::ValuesIn(tables()),
                         [](const auto& param) { return std::string(param.param->name); });

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
