#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "bytes/gguf.h"
#include "gguf_bytes.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::as_bytes;
using testing::expect_error;
using testing::raw;
using testing::raw_array;
using testing::raw_entry;
using testing::raw_header;
using testing::raw_tensor;
using testing::raw_text;
using testing::read_raw;
using testing::ScratchDirectory;
using testing::write_raw;

constexpr auto kInvalid = ErrorCode::kInvalidArgument;

/// Gives `data` in pieces of `piece` bytes.
GgufProducer in_pieces(std::string_view data, std::size_t piece) {
  return [data, piece](const GgufSink& sink) -> Status {
    for (std::size_t at = 0; at < data.size(); at += piece) {
      if (Status status = sink(as_bytes(data.substr(at, piece))); !status.ok()) return status;
    }
    return {};
  };
}

TEST(GgufWrite, WritesExactlyTheseBytes) {
  ScratchDirectory scratch;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const std::string halves = "abcd";
  const GgufTensorToWrite tensors[] = {{"w", GgmlType::kF32, {2, 3}, as_bytes(values)},
                                       {"h", GgmlType::kF16, {2}, in_pieces(halves, 3)}};
  const GgufMetadata metadata = {{"general.architecture", "qwen3"},
                                 {"count", std::uint32_t{7}},
                                 {"flags", std::vector<bool>{true, false}}};
  ASSERT_TRUE(write_gguf(scratch / "one", metadata, tensors).ok());
  ASSERT_TRUE(write_gguf(scratch / "two", metadata, tensors).ok());
  std::string expected =
      raw_header({raw_entry("general.architecture", 8, raw_text("qwen3")),
                  raw_entry("count", 4, raw(std::uint32_t{7})),
                  raw_entry("flags", 9, raw_array(7, 2, std::string("\1\0", 2)))},
                 {raw_tensor("w", {3, 2}, 0, 0), raw_tensor("h", {2}, 1, 32)});
  expected.resize((expected.size() + 31) / 32 * 32, '\0');
  for (const float value : values) expected += raw(value);
  expected += std::string(8, '\0') + halves + std::string(28, '\0');
  EXPECT_EQ(read_raw(scratch / "one"), expected);
  EXPECT_EQ(read_raw(scratch / "two"), expected);
}

TEST(GgufWrite, EveryKindOfMetadataComesBack) {
  ScratchDirectory scratch;
  const auto kMaxU64 = std::numeric_limits<std::uint64_t>::max();
  const GgufMetadata metadata = {{"u8", std::uint8_t{255}},
                                 {"i8", std::int8_t{-128}},
                                 {"u16", std::uint16_t{65'535}},
                                 {"i16", std::int16_t{-32'768}},
                                 {"u32", std::uint32_t{1}},
                                 {"i32", -1},
                                 {"f32", 0.5f},
                                 {"bool", true},
                                 {"string", "\u4f60\u597d"},
                                 {"u64", kMaxU64},
                                 {"i64", std::int64_t{-1}},
                                 {"f64", 0.1},
                                 {"u8s", std::vector<std::uint8_t>{1}},
                                 {"i8s", std::vector<std::int8_t>{-1}},
                                 {"u16s", std::vector<std::uint16_t>{2, 3}},
                                 {"i16s", std::vector<std::int16_t>{-2}},
                                 {"u32s", std::vector<std::uint32_t>{4}},
                                 {"i32s", std::vector<std::int32_t>{-4, 5}},
                                 {"f32s", std::vector<float>{1.5f}},
                                 {"bools", std::vector<bool>{false, true}},
                                 {"strings", std::vector<std::string>{"", "b"}},
                                 {"u64s", std::vector<std::uint64_t>{kMaxU64}},
                                 {"i64s", std::vector<std::int64_t>{-8}},
                                 {"f64s", std::vector<double>{}}};
  ASSERT_TRUE(write_gguf(scratch / "file", metadata, {}).ok());
  const auto file = GgufFile::open(scratch / "file");
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->metadata().size(), metadata.size());
  for (std::size_t i = 0; i < metadata.size(); ++i) {
    const GgufEntry& entry = file->metadata()[i];
    EXPECT_EQ(entry.key, metadata[i].first);
    std::string type(gguf_type_name(entry.type));
    if (entry.is_array) type += "s";
    EXPECT_EQ(type, metadata[i].first);
  }
  EXPECT_EQ(*file->get<std::uint64_t>("u64"), kMaxU64);
  EXPECT_EQ(*file->get<std::int32_t>("i16"), -32'768);
  EXPECT_EQ(*file->get<double>("f64"), 0.1);
  EXPECT_EQ(*file->get<std::string_view>("string"), "\u4f60\u597d");
  EXPECT_EQ(*file->get<std::vector<std::int64_t>>("i32s"), (std::vector<std::int64_t>{-4, 5}));
  EXPECT_EQ(*file->get<std::vector<bool>>("bools"), (std::vector<bool>{false, true}));
  EXPECT_EQ(*file->get<std::vector<std::string_view>>("strings"),
            (std::vector<std::string_view>{"", "b"}));
  EXPECT_TRUE(file->get<std::vector<double>>("f64s")->empty());
}

TEST(GgufWrite, RoundTripsRandomTensors) {
  constexpr GgmlType kTypes[] = {GgmlType::kF32,  GgmlType::kF16,  GgmlType::kBF16,
                                 GgmlType::kQ4_0, GgmlType::kQ5_1, GgmlType::kQ8_0,
                                 GgmlType::kQ4_K, GgmlType::kQ6_K};
  ScratchDirectory scratch;
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    const std::size_t count = random() % 12;
    std::vector<std::string> data(count);
    std::vector<GgufTensorToWrite> tensors;
    for (std::size_t i = 0; i < count; ++i) {
      const GgmlType type = kTypes[random() % std::size(kTypes)];
      std::vector<std::int64_t> shape(1 + random() % 4);
      std::uint64_t size = 1;
      for (auto& dimension : shape) size *= static_cast<std::uint64_t>(dimension = random() % 4);
      shape.back() *= static_cast<std::int64_t>(block_layout(type).elements);
      data[i].resize(size * block_layout(type).bytes);
      for (char& byte : data[i]) byte = static_cast<char>(random());
      tensors.push_back({"t\u00e9nsor " + std::to_string(i), type, std::move(shape), {}});
      if (random() % 2 == 0) {
        tensors[i].data = as_bytes(std::string_view(data[i]));
      } else {
        tensors[i].data = in_pieces(data[i], 1 + random() % 100);
      }
    }
    ASSERT_TRUE(write_gguf(scratch / "file", {}, tensors).ok());
    const auto file = GgufFile::open(scratch / "file");
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_EQ(file->tensors().size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      const GgufTensor& tensor = file->tensors()[i];
      EXPECT_EQ(file->find(tensors[i].name), &tensor);
      EXPECT_EQ(tensor.type, tensors[i].type);
      EXPECT_EQ(std::vector(tensor.shape.begin(), tensor.shape.end()), tensors[i].shape);
      EXPECT_EQ(
          std::string_view(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()),
          data[i]);
      // The mapping starts at a page: what is aligned in memory is aligned in the file.
      if (!tensor.data.empty()) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data.data()) % 32, 0u);
      }
    }
  }
}

TEST(GgufWrite, RefusesWhatNoReaderWouldAccept) {
  ScratchDirectory scratch;
  const auto keys = [&](GgufMetadata metadata) {
    return write_gguf(scratch / "file", metadata, {});
  };
  expect_error(keys({{"", true}}), kInvalid, {"is empty"});
  expect_error(keys({{"a b", true}}), kInvalid, {"'a b'", "ASCII"});
  expect_error(keys({{"k", true}, {"k", true}}), kInvalid, {"'k' is given twice"});
  expect_error(keys({{"general.alignment", std::uint32_t{64}}}), kInvalid, {"the writer's own"});
  expect_error(keys({{"k", "\xFF"}}), kInvalid, {"'k'", "UTF-8"});
  expect_error(keys({{"k", std::vector<std::string>{"a", "\xFF"}}}), kInvalid, {"'k'", "UTF-8"});
  expect_error(keys({{"k", std::vector<bool>(10'000'001)}}), ErrorCode::kTooLong,
               {"10000001 elements"});
  expect_error(keys(GgufMetadata(100'001)), ErrorCode::kTooLong, {"100001 metadata entries"});

  const auto tensor = [&](std::string name, GgmlType type, std::vector<std::int64_t> shape) {
    const GgufTensorToWrite tensors[] = {{"w", GgmlType::kF32, {0}, {}},
                                         {std::move(name), type, std::move(shape), {}}};
    return write_gguf(scratch / "file", {}, tensors);
  };
  expect_error(tensor("w", GgmlType::kF32, {0}), kInvalid, {"tensor 'w' is given twice"});
  expect_error(tensor("", GgmlType::kF32, {0}), kInvalid, {"0 bytes, expected 1 to 63"});
  expect_error(tensor(std::string(64, 'n'), GgmlType::kF32, {0}), kInvalid, {"64 bytes"});
  expect_error(tensor("\xFF", GgmlType::kF32, {0}), kInvalid, {"'\\xff'", "UTF-8"});
  expect_error(tensor("v", GgmlType::kF32, {}), kInvalid, {"'v' has 0 dimensions"});
  expect_error(tensor("v", GgmlType::kF32, {0, 1, 1, 1, 1}), kInvalid, {"5 dimensions"});
  expect_error(tensor("v", GgmlType::kQ4_K, {0, 128}), kInvalid,
               {"shape [0, 128] cannot be Q4_K", "multiple of 256"});
  EXPECT_EQ(scratch.entries(), 0u);
}

TEST(GgufWrite, AProducersErrorLeavesTheOldFile) {
  ScratchDirectory scratch;
  write_raw(scratch / "file", "old");
  const GgufTensorToWrite tensor{"w", GgmlType::kF32, {4}, [](const GgufSink& sink) -> Status {
                                   EXPECT_TRUE(sink(as_bytes(std::string_view("abc"))).ok());
                                   return Error{ErrorCode::kNonFinite, "a NaN"};
                                 }};
  expect_error(write_gguf(scratch / "file", {}, {&tensor, 1}), ErrorCode::kNonFinite, {"a NaN"});
  EXPECT_EQ(read_raw(scratch / "file"), "old");
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(GgufWrite, ReportsWhereItCannotWrite) {
  ScratchDirectory scratch;
  expect_error(write_gguf(scratch / "none/file", {}, {}), ErrorCode::kNotFound, {"none/file"});
  expect_error(write_gguf(scratch.path(), {}, {}), ErrorCode::kIo, {"Is a directory"});
}

TEST(GgufWriteDeathTest, DataThatDoNotFitTheShapeAreOurBug) {
  ScratchDirectory scratch;
  const std::string data(12, '\0');
  GgufTensorToWrite tensor{"w", GgmlType::kF32, {4}, as_bytes(std::string_view(data))};
  EXPECT_DEATH((void)write_gguf(scratch / "file", {}, {&tensor, 1}), "internal error");
  tensor.data = in_pieces(data, 5);
  EXPECT_DEATH((void)write_gguf(scratch / "file", {}, {&tensor, 1}), "internal error");
  tensor.shape = {2};
  EXPECT_DEATH((void)write_gguf(scratch / "file", {}, {&tensor, 1}), "internal error");
}

}  // namespace
}  // namespace qwen3guard::bytes
