#include "bytes/safetensors.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>

#include "bytes/atomic_file.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::as_bytes;
using testing::expect_error;
using testing::read_raw;
using testing::safetensors_bytes;
using testing::ScratchDirectory;
using testing::write_raw;

std::string bytes_of(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

std::vector<std::int64_t> shape_of(const TensorView& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

TEST(DTypes, NamesAndSizes) {
  EXPECT_EQ(dtype_name(DType::kBF16), "BF16");
  EXPECT_EQ(dtype_size(DType::kBF16), 2u);
  EXPECT_EQ(dtype_size(DType::kBool), 1u);
  EXPECT_EQ(dtype_size(DType::kF64), 8u);
  EXPECT_FALSE(parse_dtype("bf16"));
  for (int i = 0; i <= static_cast<int>(DType::kF64); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
  }
}

TEST(Safetensors, ReadsAHandMadeFile) {
  const std::string bytes = safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I8","shape":[3],"data_offsets":[8,11]},)"
      R"("a":{"shape":[2,2],"data_offsets":[0,8],"dtype":"F16"},"s":{"dtype":"U8","shape":[],"data_offsets":[11,12]},)"
      R"("none":{"dtype":"F32","shape":[0,5],"data_offsets":[11,11]}}   )",
      12);
  const auto file = SafetensorsFile::parse(as_bytes(bytes));
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[1].name, "b");
  EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  const TensorView* a = file->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->dtype, DType::kF16);
  EXPECT_EQ(a->elements(), 4);
  EXPECT_EQ(shape_of(*a), (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(a->data.size(), 8u);
  EXPECT_EQ(file->find("s")->elements(), 1);
  EXPECT_EQ(file->find("none")->elements(), 0);
  EXPECT_TRUE(file->find("none")->data.empty());
  EXPECT_EQ(file->find("c"), nullptr);
  EXPECT_EQ(file->find(""), nullptr);
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  const std::string bytes = safetensors_bytes("{}", 0);
  const auto file = SafetensorsFile::parse(as_bytes(bytes));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->tensors().empty());
}

TEST(Safetensors, RoundTripsRandomTensors) {
  ScratchDirectory scratch;
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    std::vector<std::string> data;
    std::vector<TensorToWrite> tensors;
    const std::size_t count = random() % 12;
    for (std::size_t i = 0; i < count; ++i) {
      const auto dtype = static_cast<DType>(random() % 15);
      std::vector<std::int64_t> shape(random() % 4);
      std::size_t size = dtype_size(dtype);
      for (auto& dimension : shape) size *= static_cast<std::size_t>(dimension = random() % 5);
      std::string bytes(size, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random());
      data.push_back(std::move(bytes));
      tensors.push_back({std::string("t\u00e9nsor \"").append(std::to_string(i)) + "\"\n",
                         dtype,
                         std::move(shape),
                         {}});
    }
    for (std::size_t i = 0; i < count; ++i) tensors[i].data = as_bytes(std::string_view(data[i]));
    const std::map<std::string, std::string> metadata{{"format", "pt"}, {"note", "\u4f60\u597d"}};
    ASSERT_TRUE(write_safetensors(scratch / "file", tensors, metadata).ok());

    const auto file = SafetensorsFile::open(scratch / "file");
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->metadata(), metadata);
    ASSERT_EQ(file->tensors().size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      const TensorView* view = file->find(tensors[i].name);
      ASSERT_NE(view, nullptr) << tensors[i].name;
      EXPECT_EQ(view->dtype, tensors[i].dtype);
      EXPECT_EQ(shape_of(*view), tensors[i].shape);
      EXPECT_EQ(bytes_of(view->data), data[i]);
      // The mapping starts at a page: what is aligned in memory is aligned in the file.
      if (!view->data.empty()) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view->data.data()) % dtype_size(view->dtype),
                  0u);
      }
    }
  }
}

TEST(Safetensors, WritesTheSameBytesEveryTime) {
  ScratchDirectory scratch;
  const std::vector<float> values{1, 2, 3};
  const std::vector<std::uint8_t> flags{1, 0};
  const TensorToWrite tensors[] = {{"flags", DType::kBool, {2}, as_bytes(flags)},
                                   {"w", DType::kF32, {3, 1}, as_bytes(values)}};
  ASSERT_TRUE(write_safetensors(scratch / "one", tensors, {{"format", "pt"}}).ok());
  ASSERT_TRUE(write_safetensors(scratch / "two", tensors, {{"format", "pt"}}).ok());
  const std::string bytes = read_raw(scratch / "one");
  EXPECT_EQ(bytes, read_raw(scratch / "two"));
  EXPECT_EQ(
      bytes.substr(8, bytes.size() - 8 - 14),
      R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]},)"
      R"("flags":{"dtype":"BOOL","shape":[2],"data_offsets":[12,14]}})"
      "    ");
}

TEST(Safetensors, RefusesNamesThatNoReaderWouldAccept) {
  ScratchDirectory scratch;
  const auto status = [&](std::vector<std::string> names,
                          std::map<std::string, std::string> metadata = {}) {
    std::vector<TensorToWrite> tensors;
    for (auto& name : names) tensors.push_back({std::move(name), DType::kU8, {0}, {}});
    return write_safetensors(scratch / "file", tensors, metadata);
  };
  expect_error(status({"a", "b", "a"}), ErrorCode::kInvalidArgument,
               {"'a' is the name of two tensors"});
  expect_error(status({"__metadata__"}), ErrorCode::kInvalidArgument, {"reserved"});
  expect_error(status({"\xFF"}), ErrorCode::kInvalidArgument, {"'\\xff'", "UTF-8"});
  expect_error(status({"a"}, {{"k", "\xFF"}}), ErrorCode::kInvalidArgument, {"'k'", "UTF-8"});
  EXPECT_EQ(scratch.entries(), 0u);
}

TEST(Safetensors, ReportsWhereItCannotWrite) {
  ScratchDirectory scratch;
  expect_error(write_safetensors(scratch / "none/file", {}, {}), ErrorCode::kNotFound,
               {"none/file"});
  expect_error(write_safetensors(scratch.path(), {}, {}), ErrorCode::kIo, {"Is a directory"});
}

TEST(SafetensorsDeathTest, DataThatDoesNotFitTheShapeIsOurBug) {
  const std::vector<float> values{1, 2, 3};
  const TensorToWrite tensor{"w", DType::kF32, {4}, as_bytes(values)};
  EXPECT_DEATH((void)write_safetensors("/none/file", {&tensor, 1}, {}), "internal error");
}

std::size_t resident_kilobytes() {
  const std::string status = *read_file("/proc/self/status", 1 << 20);
  return std::stoul(status.substr(status.find("VmRSS:") + 6));
}

TEST(Safetensors, OpensAHugeSparseFileAtOnce) {
  ScratchDirectory scratch;
  const std::uint64_t size = 16ull << 30;
  const std::string header = R"({"w":{"dtype":"BF16","shape":[2097152,4096],"data_offsets":[0,)" +
                             std::to_string(size) + "]}}";
  write_raw(scratch / "huge", safetensors_bytes(header, 0));
  std::filesystem::resize_file(scratch / "huge", 8 + header.size() + size);

  const std::size_t before = resident_kilobytes();
  const std::clock_t start = std::clock();  // of the process: a busy machine must not matter
  const auto file = SafetensorsFile::open(scratch / "huge");
  const double taken = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->find("w")->data.size(), size);
  EXPECT_EQ(file->find("w")->data[size - 1], std::byte{0});
  EXPECT_LT(taken, 1.0);
  EXPECT_LT(resident_kilobytes(), before + 10'000);
}

}  // namespace
}  // namespace qwen3guard::bytes
