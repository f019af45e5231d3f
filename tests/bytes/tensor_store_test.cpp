#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bytes/safetensors.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::as_bytes;
using testing::expect_error;
using testing::ScratchDirectory;
using testing::write_raw;

constexpr const char* kIndex = "model.safetensors.index.json";

/// Writes a file of one-element F32 tensors of these names.
void write_tensors(const std::filesystem::path& path, const std::vector<std::string>& names) {
  static const std::vector<float> value{1.0f};
  std::vector<TensorToWrite> tensors;
  for (const auto& name : names) tensors.push_back({name, DType::kF32, {1}, as_bytes(value)});
  ASSERT_TRUE(write_safetensors(path, tensors, {{"format", "pt"}}).ok());
}

class Sharded : public ::testing::Test {
 protected:
  Sharded() {
    write_tensors(scratch_ / "model-00001-of-00002.safetensors", {"a", "b"});
    write_tensors(scratch_ / "model-00002-of-00002.safetensors", {"c"});
    write_index({{"a", "model-00001-of-00002.safetensors"},
                 {"b", "model-00001-of-00002.safetensors"},
                 {"c", "model-00002-of-00002.safetensors"}});
  }
  void write_index(const std::map<std::string, std::string>& map) {
    write_raw(scratch_ / kIndex,
              nlohmann::json{{"metadata", {{"total_size", 12}}}, {"weight_map", map}}.dump(2));
  }
  ScratchDirectory scratch_;
};

TEST(TensorStore, OpensASingleFile) {
  ScratchDirectory scratch;
  write_tensors(scratch / "model.safetensors", {"x", "y"});
  auto store = TensorStore::open(scratch.path());
  ASSERT_TRUE(store.ok()) << store.error().message;
  const TensorStore moved = std::move(*store);
  EXPECT_NE(moved.find("x"), nullptr);
  EXPECT_EQ(moved.find("z"), nullptr);
  EXPECT_EQ(moved.tensors().size(), 2u);
  EXPECT_EQ(moved.files(), std::vector{scratch / "model.safetensors"});
}

TEST_F(Sharded, OpensAllShards) {
  auto store = TensorStore::open(scratch_.path());
  ASSERT_TRUE(store.ok()) << store.error().message;
  const TensorStore moved = std::move(*store);
  EXPECT_EQ(moved.files().size(), 2u);
  ASSERT_EQ(moved.tensors().size(), 3u);
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_NE(moved.find(name), nullptr) << name;
    EXPECT_EQ(moved.find(name)->name, name);
    EXPECT_EQ(moved.find(name)->data.size(), 4u);
  }
}

TEST_F(Sharded, TheSingleFileWins) {
  write_tensors(scratch_ / "model.safetensors", {"x"});
  auto store = TensorStore::open(scratch_.path());
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_EQ(store->files(), std::vector{scratch_ / "model.safetensors"});
}

TEST_F(Sharded, FollowsLinksAsTheDownloadCacheHasThem) {
  ScratchDirectory cache;
  std::filesystem::rename(scratch_ / "model-00002-of-00002.safetensors", cache / "blob");
  std::filesystem::create_symlink(cache / "blob", scratch_ / "model-00002-of-00002.safetensors");
  EXPECT_TRUE(TensorStore::open(scratch_.path()).ok());
}

TEST_F(Sharded, NamesMissingShards) {
  std::filesystem::remove(scratch_ / "model-00002-of-00002.safetensors");
  expect_error(
      TensorStore::open(scratch_.path()), ErrorCode::kNotFound,
      {"lacks 'model-00002-of-00002.safetensors'", "of the 2 files", "finish the download"});
  std::map<std::string, std::string> many;
  for (int i = 0; i < 9; ++i) {
    const std::string number = std::to_string(i);
    many["t" + number] = "shard" + number;
  }
  write_index(many);
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kNotFound, {"'shard4' and 4 more"});
}

TEST_F(Sharded, NamesTheShardThatIsDamaged) {
  std::filesystem::resize_file(scratch_ / "model-00002-of-00002.safetensors", 60);
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kCorruptFile,
               {"model-00002-of-00002.safetensors'"});
  std::filesystem::remove(scratch_ / "model-00002-of-00002.safetensors");
  std::filesystem::create_directory(scratch_ / "model-00002-of-00002.safetensors");
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kIo, {"Is a directory"});
}

TEST_F(Sharded, RefusesFilesOutsideTheDirectory) {
  for (const std::string file : {"../model.safetensors", "/etc/passwd", "sub/model.safetensors",
                                 "..", ".", "", "a\\b", "model-00002-of-00002.safetensors/"}) {
    write_index({{"a", file}});
    expect_error(TensorStore::open(scratch_.path()), ErrorCode::kCorruptFile,
                 {"tensor 'a'", "expected the plain name of a file"});
  }
  write_index({{"a", std::string("model-00001-of-00002.safetensors\0x", 34)}});
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kCorruptFile, {"\\x00x"});
}

TEST_F(Sharded, IndexAndShardsMustAgree) {
  const std::string one = "model-00001-of-00002.safetensors";
  const std::string two = "model-00002-of-00002.safetensors";
  write_index({{"a", one}, {"b", one}, {"c", two}, {"d", two}});
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kCorruptFile,
               {"tensor 'd'", two, "does not hold it"});
  write_index({{"a", one}, {"b", two}, {"c", two}});
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kCorruptFile,
               {"tensor 'b'", one, two});
  write_index({{"a", one}, {"c", two}});
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kCorruptFile,
               {"tensor 'b'", "does not list"});
  write_tensors(scratch_ / two, {"a", "c"});
  write_index({{"a", one}, {"b", one}, {"c", two}});
  expect_error(TensorStore::open(scratch_.path()), ErrorCode::kCorruptFile,
               {two, "tensor 'a'", "puts into"});
}

TEST_F(Sharded, RefusesABrokenIndex) {
  const auto refuse = [&](std::string_view text, std::initializer_list<std::string_view> parts,
                          ErrorCode code = ErrorCode::kCorruptFile) {
    write_raw(scratch_ / kIndex, text);
    expect_error(TensorStore::open(scratch_.path()), code, {kIndex});
    expect_error(TensorStore::open(scratch_.path()), code, parts);
  };
  refuse("", {"unexpected end"}, ErrorCode::kInvalidJson);
  refuse("{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}", {"'a' appears twice"},
         ErrorCode::kInvalidJson);
  refuse("[]", {"expected a JSON object, found array"});
  refuse("{}", {"'weight_map' is missing"});
  refuse("{\"weight_map\": 1}", {"expected an object, found number"});
  refuse("{\"weight_map\": {}}", {"names no tensor"});
  refuse("{\"weight_map\": {\"a\": 1}}", {"tensor 'a'", "expected a file name, found number"});
  refuse(std::string(1000, '['), {"deeper"}, ErrorCode::kInvalidJson);
}

TEST(TensorStore, SaysWhatIsMissing) {
  ScratchDirectory scratch;
  expect_error(TensorStore::open(scratch / "none"), ErrorCode::kNotFound,
               {"none", "check the path"});
  expect_error(TensorStore::open(scratch.path()), ErrorCode::kNotFound,
               {"model.safetensors", "model.safetensors.index.json"});
  write_raw(scratch / "pytorch_model.bin", "x");
  expect_error(TensorStore::open(scratch.path()), ErrorCode::kNotFound, {"convert"});
  expect_error(TensorStore::open(scratch / "pytorch_model.bin"), ErrorCode::kInvalidArgument,
               {"is a file"});
}

}  // namespace
}  // namespace qwen3guard::bytes
