// A file that the community's own package wrote: what we read and quantise equals what it says.
#include <gtest/gtest.h>

#include <limits>

#include "bytes/gguf.h"
#include "bytes/safetensors.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(QG_TEST_DATA) / "gguf";

std::vector<float> floats_of(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

TEST(GgufGolden, Metadata) {
  const auto file = GgufFile::open(kFolder / "golden.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->metadata().size(), 17u);
  EXPECT_EQ(*file->get<std::string_view>("general.architecture"), "test");
  EXPECT_EQ(*file->get<std::uint32_t>("test.u8"), 200u);
  EXPECT_EQ(*file->get<std::int32_t>("test.i8"), -7);
  EXPECT_EQ(*file->get<std::uint32_t>("test.u16"), 60'000u);
  EXPECT_EQ(*file->get<std::int32_t>("test.i16"), -300);
  EXPECT_EQ(*file->get<std::uint32_t>("test.u32"), 4'000'000'000u);
  EXPECT_EQ(*file->get<std::int32_t>("test.i32"), -70'000);
  EXPECT_EQ(*file->get<double>("test.f32"), static_cast<double>(0.1f));
  EXPECT_EQ(*file->get<bool>("test.bool"), true);
  EXPECT_EQ(*file->get<std::string_view>("test.string"), "h\u00e9llo \u4f60\u597d");
  EXPECT_EQ(*file->get<std::uint64_t>("test.u64"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(*file->get<std::int64_t>("test.i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(*file->get<double>("test.f64"), 1e-6);
  EXPECT_EQ(*file->get<std::vector<std::string_view>>("test.strings"),
            (std::vector<std::string_view>{"a", "", "\u0120b"}));
  EXPECT_EQ(*file->get<std::vector<bool>>("test.bools"), (std::vector<bool>{true, false}));
  EXPECT_EQ(*file->get<std::vector<std::int32_t>>("test.ints"),
            (std::vector<std::int32_t>{-1, 2, 3}));
  EXPECT_EQ(*file->get<std::vector<double>>("test.floats"), (std::vector<double>{0.5, -1.25}));
}

TEST(GgufGolden, NumbersOfEveryType) {
  const auto file = GgufFile::open(kFolder / "golden.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto numbers = SafetensorsFile::open(kFolder / "golden.safetensors");
  ASSERT_TRUE(numbers.ok()) << numbers.error().message;
  ASSERT_EQ(file->tensors().size(), 13u);
  int decoded = 0;
  for (const GgufTensor& tensor : file->tensors()) {
    EXPECT_EQ(ggml_type_name(tensor.type), tensor.name);
    const auto columns = static_cast<std::size_t>(tensor.shape.back());
    const auto stride = static_cast<std::size_t>(row_bytes(tensor.type, columns));
    std::vector<float> row(columns);
    const TensorView* golden = numbers->find(tensor.name);
    if (golden == nullptr) {
      testing::expect_error(dequantize_row(tensor.type, tensor.data.first(stride), row),
                            ErrorCode::kUnsupported, {tensor.name});
      continue;
    }
    ASSERT_EQ(std::vector(tensor.shape.begin(), tensor.shape.end()),
              std::vector(golden->shape.begin(), golden->shape.end()));
    const std::vector<float> expected = floats_of(*golden);
    for (std::size_t i = 0; i < expected.size() / columns; ++i) {
      ASSERT_TRUE(dequantize_row(tensor.type, tensor.data.subspan(i * stride, stride), row).ok());
      const auto* want = expected.data() + i * columns;
      EXPECT_EQ(row, std::vector<float>(want, want + columns)) << tensor.name << " row " << i;
    }
    ++decoded;
  }
  EXPECT_EQ(decoded, 7);
}

TEST(GgufGolden, WeQuantizeToTheSameBytes) {
  const auto file = GgufFile::open(kFolder / "golden.gguf");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto numbers = SafetensorsFile::open(kFolder / "golden.safetensors");
  ASSERT_TRUE(numbers.ok()) << numbers.error().message;
  for (const std::string_view name : {"Q8_0", "Q4_0"}) {
    const GgufTensor* tensor = file->find(name);
    ASSERT_NE(tensor, nullptr);
    // Rows are whole blocks: all of them make one long row.
    const std::vector<float> input = floats_of(*numbers->find(std::string(name) + ".input"));
    std::vector<std::byte> packed(tensor->data.size());
    ASSERT_TRUE(quantize_row(tensor->type, input, packed).ok());
    EXPECT_EQ(packed, std::vector(tensor->data.begin(), tensor->data.end())) << name;
  }
}

}  // namespace
}  // namespace qwen3guard::bytes
