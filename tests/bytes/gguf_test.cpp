#include "bytes/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <limits>

#include "gguf_bytes.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::as_bytes;
using testing::expect_error;
using testing::gguf_bytes;
using testing::raw;
using testing::raw_array;
using testing::raw_entry;
using testing::raw_header;
using testing::raw_tensor;
using testing::raw_text;

std::vector<std::int64_t> shape_of(const GgufTensor& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

TEST(GgmlTypes, NamesNumbersAndBlocks) {
  EXPECT_EQ(ggml_type_name(GgmlType::kQ4_K), "Q4_K");
  EXPECT_EQ(parse_ggml_type("Q4_K"), GgmlType::kQ4_K);
  EXPECT_EQ(parse_ggml_type("q4_k"), std::nullopt);
  EXPECT_EQ(ggml_type_of(30), GgmlType::kBF16);
  EXPECT_EQ(ggml_type_of(4), std::nullopt);
  EXPECT_EQ(row_bytes(GgmlType::kQ8_0, 1024), 1088u);
  EXPECT_EQ(row_bytes(GgmlType::kQ6_K, 0), 0u);
  EXPECT_EQ(block_layout(GgmlType::kQ2_K).elements, 256u);
}

TEST(Gguf, ReadsAHandMadeFile) {
  const std::string bytes =
      gguf_bytes({raw_entry("general.architecture", 8, raw_text("qwen3"))},
                 {raw_tensor("b", {2, 3}, 1, 32), raw_tensor("a", {32, 2, 1, 1}, 8, 64),
                  raw_tensor("c", {4}, 0, 0), raw_tensor("none", {32, 0}, 8, 160)},
                 132);
  const auto file = GgufFile::parse(as_bytes(std::string_view(bytes)));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version(), 3u);
  ASSERT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->tensors()[0].name, "b");  // as the file lists them
  const GgufTensor* a = file->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->type, GgmlType::kQ8_0);
  EXPECT_EQ(shape_of(*a), (std::vector<std::int64_t>{1, 1, 2, 32}));
  EXPECT_EQ(a->elements(), 64);
  EXPECT_EQ(a->data.size(), 68u);
  EXPECT_EQ(a->data.data() + 68, as_bytes(std::string_view(bytes)).data() + bytes.size());
  EXPECT_EQ(shape_of(*file->find("b")), (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(file->find("b")->data.size(), 12u);
  EXPECT_EQ(file->find("none")->elements(), 0);
  EXPECT_TRUE(file->find("none")->data.empty());
  EXPECT_EQ(file->find("d"), nullptr);
  EXPECT_EQ(*file->get<std::string_view>("general.architecture"), "qwen3");
  EXPECT_EQ(file->metadata().size(), 1u);
}

TEST(Gguf, ReadsVersion2AndFilesWithoutTensors) {
  const std::string bytes = raw_header({}, {}, 2);
  for (const std::size_t padding : {0, 3, 8}) {
    const auto file = GgufFile::parse(as_bytes(bytes + std::string(padding, '\0')));
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->version(), 2u);
    EXPECT_TRUE(file->tensors().empty());
  }
}

TEST(Gguf, TheFileMaySetItsAlignment) {
  const std::string bytes =
      gguf_bytes({raw_entry("general.alignment", 4, raw(std::uint32_t{8}))},
                 {raw_tensor("a", {1}, 0, 0), raw_tensor("b", {1}, 0, 8)}, 12, 8);
  const auto file = GgufFile::parse(as_bytes(std::string_view(bytes)));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->find("b")->data.data(), file->find("a")->data.data() + 8);
}

TEST(GgufMetadata, NumbersAreWidenedAndChecked) {
  const std::string bytes = gguf_bytes(
      {raw_entry("u8", 0, raw(std::uint8_t{200})), raw_entry("i8", 1, raw(std::int8_t{-7})),
       raw_entry("u16", 2, raw(std::uint16_t{60'000})),
       raw_entry("i16", 3, raw(std::int16_t{-300})),
       raw_entry("u32", 4, raw(std::uint32_t{4'000'000'000})),
       raw_entry("i32", 5, raw(std::int32_t{-70'000})), raw_entry("f32", 6, raw(0.1f)),
       raw_entry("bool", 7, "\1"),
       raw_entry("u64", 10, raw(std::numeric_limits<std::uint64_t>::max())),
       raw_entry("i64", 11, raw(std::numeric_limits<std::int64_t>::min())),
       raw_entry("f64", 12, raw(1e-6)), raw_entry("nan", 12, raw(std::nan("")))},
      {}, 0);
  const auto file = GgufFile::parse(as_bytes(std::string_view(bytes)));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*file->get<std::uint32_t>("u8"), 200u);
  EXPECT_EQ(*file->get<std::int32_t>("i8"), -7);
  EXPECT_EQ(*file->get<std::uint64_t>("u16"), 60'000u);
  EXPECT_EQ(*file->get<std::int64_t>("i16"), -300);
  EXPECT_EQ(*file->get<std::uint32_t>("u32"), 4'000'000'000u);
  EXPECT_EQ(*file->get<std::int64_t>("u32"), 4'000'000'000);
  EXPECT_EQ(*file->get<std::int32_t>("i32"), -70'000);
  EXPECT_EQ(*file->get<std::uint64_t>("u64"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(*file->get<std::int64_t>("i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(*file->get<double>("f32"), static_cast<double>(0.1f));
  EXPECT_EQ(*file->get<double>("f64"), 1e-6);
  EXPECT_TRUE(std::isnan(*file->get<double>("nan")));
  EXPECT_EQ(*file->get<bool>("bool"), true);

  expect_error(file->get<std::int32_t>("u32"), ErrorCode::kUnsupported,
               {"metadata 'u32' (byte ", "expected i32, found 4000000000, which does not fit"});
  expect_error(file->get<std::uint64_t>("i8"), ErrorCode::kUnsupported, {"expected u64, found -7"});
  expect_error(file->get<std::int64_t>("u64"), ErrorCode::kUnsupported, {"does not fit"});
  expect_error(file->get<std::uint32_t>("f32"), ErrorCode::kUnsupported,
               {"expected u32, found f32", "convert"});
  expect_error(file->get<double>("u8"), ErrorCode::kUnsupported, {"expected f32 or f64, found u8"});
  expect_error(file->get<bool>("u8"), ErrorCode::kUnsupported, {"expected bool, found u8"});
  expect_error(file->get<std::uint32_t>("bool"), ErrorCode::kUnsupported,
               {"expected u32, found bool"});
  expect_error(file->get<std::string_view>("u8"), ErrorCode::kUnsupported,
               {"expected string, found u8"});
  expect_error(file->get<std::vector<bool>>("bool"), ErrorCode::kUnsupported,
               {"expected an array of bool, found bool"});
  expect_error(file->get<bool>("Bool"), ErrorCode::kNotFound, {"no metadata 'Bool'"});
}

TEST(GgufMetadata, ArraysOfEveryKind) {
  const std::string bytes = gguf_bytes(
      {raw_entry("strings", 9, raw_array(8, 3, raw_text("a") + raw_text("") + raw_text("\u4f60"))),
       raw_entry("u8", 9, raw_array(0, 2, "\1\xFF")),
       raw_entry("i16", 9, raw_array(3, 2, raw(std::int16_t{-1}) + raw(std::int16_t{5}))),
       raw_entry("bools", 9, raw_array(7, 3, std::string("\1\0\1", 3))),
       raw_entry("f32", 9, raw_array(6, 2, raw(1.5f) + raw(-2.0f))),
       raw_entry("none", 9, raw_array(8, 0, ""))},
      {}, 0);
  const auto file = GgufFile::parse(as_bytes(std::string_view(bytes)));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*file->get<std::vector<std::string_view>>("strings"),
            (std::vector<std::string_view>{"a", "", "\u4f60"}));
  EXPECT_EQ(*file->get<std::vector<std::uint32_t>>("u8"), (std::vector<std::uint32_t>{1, 255}));
  EXPECT_EQ(*file->get<std::vector<std::int64_t>>("i16"), (std::vector<std::int64_t>{-1, 5}));
  EXPECT_EQ(*file->get<std::vector<bool>>("bools"), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(*file->get<std::vector<double>>("f32"), (std::vector<double>{1.5, -2.0}));
  EXPECT_TRUE(file->get<std::vector<std::string_view>>("none")->empty());
  EXPECT_EQ(file->find_metadata("strings")->type_text(), "array of 3 string");

  expect_error(file->get<std::vector<std::uint64_t>>("i16"), ErrorCode::kUnsupported,
               {"metadata 'i16'", "expected u64, found -1"});
  expect_error(file->get<std::vector<std::int32_t>>("strings"), ErrorCode::kUnsupported,
               {"expected an array of i32, found array of 3 string"});
  expect_error(file->get<std::string_view>("strings"), ErrorCode::kUnsupported,
               {"expected string"});
}

TEST(GgufMetadata, AVocabularyCostsNoMoreThanItsViews) {
  constexpr std::size_t kTokens = 151'936;
  std::string tokens;
  for (std::size_t i = 0; i < kTokens; ++i) tokens += raw_text("token " + std::to_string(i));
  const std::string bytes =
      gguf_bytes({raw_entry("tokenizer.ggml.tokens", 9, raw_array(8, kTokens, tokens))}, {}, 0);
  const std::clock_t start = std::clock();  // of the process: a busy machine must not matter
  const auto file = GgufFile::parse(as_bytes(std::string_view(bytes)));
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto views = file->get<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  ASSERT_TRUE(views.ok()) << views.error().message;
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 1.0);
  ASSERT_EQ(views->size(), kTokens);
  EXPECT_EQ(views->capacity(), kTokens);
  EXPECT_EQ(views->back(), "token 151935");
  EXPECT_EQ(views->back().data() + views->back().size(),
            bytes.data() + 24 + 29 + 4 + 12 + tokens.size());
}

TEST(Gguf, OpeningReportsMissingFiles) {
  expect_error(GgufFile::open("/none/file.gguf"), ErrorCode::kNotFound, {"file.gguf"});
}

}  // namespace
}  // namespace qwen3guard::bytes
