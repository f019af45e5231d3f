#include "bytes/describe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support.h"

namespace qwen3guard::bytes {
namespace {

template <typename T>
TensorSummary summary_of(DType dtype, const std::vector<T>& values) {
  const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
  return summarize(
      {.name = "w", .dtype = dtype, .shape = shape, .data = testing::as_bytes(values)});
}

TEST(Summarize, CountsWhatIsNotFinite) {
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  const auto summary =
      summary_of<float>(DType::kF32, {1, -3, nan, infinity, 0, -0.0f, -infinity, nan});
  EXPECT_EQ(summary.name, "w");
  EXPECT_EQ(summary.shape, std::vector<std::int64_t>{8});
  EXPECT_EQ(summary.minimum, -3);
  EXPECT_EQ(summary.maximum, 1);
  EXPECT_EQ(summary.mean, -0.5);
  EXPECT_EQ(summary.nan_count, 2u);
  EXPECT_EQ(summary.infinite_count, 2u);
  EXPECT_EQ(summary.zero_count, 2u);
}

TEST(Summarize, NothingFinite) {
  const auto nothing = summary_of<double>(DType::kF64, {});
  EXPECT_EQ(nothing.minimum, 0);
  EXPECT_EQ(nothing.mean, 0);
  const auto nan = summary_of<double>(DType::kF64, {std::nan("")});
  EXPECT_EQ(nan.nan_count, 1u);
  EXPECT_EQ(nan.maximum, 0);
}

TEST(Summarize, ReadsNarrowFloats) {
  // 1, -2, the largest, infinity, NaN.
  const auto bf16 =
      summary_of<std::uint16_t>(DType::kBF16, {0x3F80, 0xC000, 0x7F7F, 0x7F80, 0x7FC0});
  EXPECT_EQ(bf16.minimum, -2);
  EXPECT_EQ(bf16.maximum, 0x1.FEp127);
  EXPECT_EQ(bf16.nan_count, 1u);
  EXPECT_EQ(bf16.infinite_count, 1u);
  const auto f16 = summary_of<std::uint16_t>(DType::kF16, {0x3C00, 0xC000, 0x7BFF, 0x7C00, 0x7E00});
  EXPECT_EQ(f16.minimum, -2);
  EXPECT_EQ(f16.maximum, 65504);
  EXPECT_EQ(f16.nan_count, 1u);
  EXPECT_EQ(f16.infinite_count, 1u);
  EXPECT_EQ(summary_of<std::uint16_t>(DType::kF16, {0x0001}).minimum, 0x1p-24);  // subnormal
  const auto e5m2 = summary_of<std::uint8_t>(DType::kF8E5M2, {0x3C, 0xC0, 0x7B, 0x7C, 0x7E});
  EXPECT_EQ(e5m2.minimum, -2);
  EXPECT_EQ(e5m2.maximum, 57344);
  EXPECT_EQ(e5m2.nan_count, 1u);
  EXPECT_EQ(e5m2.infinite_count, 1u);
  const auto e4m3 = summary_of<std::uint8_t>(DType::kF8E4M3, {0x38, 0xC0, 0x7E, 0x7F});
  EXPECT_EQ(e4m3.minimum, -2);
  EXPECT_EQ(e4m3.maximum, 448);
  EXPECT_EQ(e4m3.nan_count, 1u);
  EXPECT_EQ(e4m3.infinite_count, 0u);
}

TEST(Summarize, ReadsIntegers) {
  EXPECT_EQ(summary_of<std::int8_t>(DType::kI8, {-5, 3}).minimum, -5);
  EXPECT_EQ(summary_of<std::uint8_t>(DType::kU8, {0, 255}).maximum, 255);
  EXPECT_EQ(summary_of<std::uint8_t>(DType::kBool, {0, 1, 1, 1}).mean, 0.75);
  EXPECT_EQ(summary_of<std::int16_t>(DType::kI16, {-300}).minimum, -300);
  EXPECT_EQ(summary_of<std::uint16_t>(DType::kU16, {60000}).maximum, 60000);
  EXPECT_EQ(summary_of<std::int32_t>(DType::kI32, {-70000}).minimum, -70000);
  EXPECT_EQ(summary_of<std::uint32_t>(DType::kU32, {4000000000}).maximum, 4000000000);
  EXPECT_EQ(summary_of<std::int64_t>(DType::kI64, {-1}).minimum, -1);
  EXPECT_EQ(summary_of<std::uint64_t>(DType::kU64, {1ull << 63}).maximum, 0x1p63);
}

TEST(Summarize, UnalignedData) {
  std::string bytes(1 + 3 * 4, '\0');
  const float values[] = {1, 2, 3};
  std::memcpy(bytes.data() + 1, values, sizeof values);
  const std::int64_t shape[] = {3};
  EXPECT_EQ(summarize({.name = "w",
                       .dtype = DType::kF32,
                       .shape = shape,
                       .data = testing::as_bytes(std::string_view(bytes).substr(1))})
                .mean,
            2);
}

}  // namespace
}  // namespace qwen3guard::bytes
