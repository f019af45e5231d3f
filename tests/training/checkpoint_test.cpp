#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bytes/atomic_file.h"
#include "bytes/json.h"
#include "bytes/safetensors.h"
#include "paths.h"
#include "support.h"
#include "training/average.h"
#include "training/grow.h"
#include "training/network.h"
#include "training/parameters.h"

namespace qwen3guard::training {
namespace {

float rounded(float value) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000U;
  return std::bit_cast<float>(bits);
}

TEST(Checkpoint, ComesBackAsItsBfloat16Values) {
  const auto folder = test_folder();
  const Layout layout = make_layout(tiny_recipe().model, 300);
  const auto weights = initial_weights(layout, 3);
  ASSERT_TRUE(export_checkpoint(layout, weights, 7, 5, folder).ok());
  const auto shape = read_checkpoint_shape(folder, {});
  ASSERT_TRUE(shape.ok()) << shape.error().message;
  EXPECT_EQ(shape->vocabulary, 300U);
  EXPECT_EQ(shape->shape.guard_inner_size, 12U);
  const Layout again = make_layout(shape->shape, shape->vocabulary);
  ASSERT_EQ(again.total, layout.total);
  std::vector<float> read(again.total, 0.0f);
  const auto count = import_checkpoint(again, folder, read);
  ASSERT_TRUE(count.ok()) << count.error().message;
  for (std::size_t i = 0; i < read.size(); ++i) ASSERT_EQ(read[i], rounded(weights[i])) << i;
}

TEST(Checkpoint, HasTheOfficialNamesAndShapes) {
  const auto folder = test_folder();
  const Layout layout = make_layout(tiny_recipe().model, 300);
  ASSERT_TRUE(export_checkpoint(layout, initial_weights(layout, 3), 7, 5, folder).ok());
  const auto file = bytes::SafetensorsFile::open(folder / "model.safetensors");
  ASSERT_TRUE(file.ok());
  const auto expect = [&](const char* name, std::vector<std::int64_t> shape) {
    const auto* tensor = file->find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_TRUE(std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end()))
        << name;
    EXPECT_EQ(tensor->dtype, bytes::DType::kBF16);
  };
  expect("model.embed_tokens.weight", {300, 16});
  expect("model.layers.1.self_attn.q_proj.weight", {32, 16});
  expect("model.layers.1.self_attn.k_proj.weight", {16, 16});
  expect("model.layers.1.self_attn.v_proj.weight", {16, 16});
  expect("model.layers.1.self_attn.o_proj.weight", {16, 32});
  expect("model.layers.0.self_attn.q_norm.weight", {8});
  expect("model.layers.0.mlp.down_proj.weight", {16, 24});
  expect("model.norm.weight", {16});
  expect("risk_level_category_pre.weight", {12, 16});
  expect("risk_level_category_layernorm.weight", {12});
  expect("risk_level_head.weight", {3, 12});
  expect("category_head.weight", {8, 12});
  expect("query_risk_level_category_pre.weight", {12, 16});
  expect("query_risk_level_category_layernorm.weight", {12});
  expect("query_risk_level_head.weight", {3, 12});
  expect("query_category_head.weight", {9, 12});
  const auto config = bytes::read_json(folder / "config.json");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ((*config)["architectures"][0], "Qwen3ForGuardModel");
  EXPECT_EQ((*config)["response_risk_level_map"]["1"], "Unsafe");
  EXPECT_EQ((*config)["query_category_map"].size(), 9U);
  EXPECT_EQ((*config)["response_category_map"].size(), 8U);
}

TEST(Checkpoint, GrownItComputesTheSame) {
  ModelShape shape = tiny_recipe().model;
  const Layout small_layout = make_layout(shape, 300);
  shape.num_hidden_layers += 2;
  shape.intermediate_size += 8;
  const Layout large_layout = make_layout(shape, 300);
  const auto small = initial_weights(small_layout, 3);
  auto large = initial_weights(large_layout, 4);
  ASSERT_TRUE(grow(small_layout, small, large_layout, large).ok());
  Network before(small_layout, small, Precision::kFloat32);
  Network after(large_layout, large, Precision::kFloat32);
  const Tensor ids = at::arange(0, 24, at::kLong).reshape({2, 12});
  // Wider sums may be cut into other partial sums: equal but for their rounding.
  const Tensor a = before.hidden(ids, {}, 0), b = after.hidden(ids, {}, 0);
  EXPECT_LT((a - b).abs().max().item<float>(), 32 * 0x1p-23f);
  EXPECT_GT(a.abs().max().item<float>(), 0.1f);
  auto smaller = small;
  EXPECT_FALSE(grow(large_layout, large, small_layout, smaller).ok());
  shape.head_dim *= 2;
  const Layout other = make_layout(shape, 300);
  auto wider = initial_weights(other, 4);
  EXPECT_FALSE(grow(small_layout, small, other, wider).ok());
}

TEST(Checkpoint, AnAverageLiesBetweenItsParts) {
  const auto folder = test_folder();
  const Layout layout = make_layout(tiny_recipe().model, 300);
  const auto a = initial_weights(layout, 3), b = initial_weights(layout, 4);
  for (const auto& [name, weights] : {std::pair("a", a), std::pair("b", b)}) {
    ASSERT_TRUE(export_checkpoint(layout, weights, 7, 5, folder / name).ok());
    std::filesystem::copy_file(golden_tokenizer_file(), folder / name / "tokenizer.json");
  }
  const auto status = average_checkpoints({{folder / "a", 3}, {folder / "b", 1}}, folder / "c");
  ASSERT_TRUE(status.ok()) << status.error().message;
  std::vector<float> read(layout.total, 0.0f);
  ASSERT_TRUE(import_checkpoint(layout, folder / "c", read).ok());
  for (std::size_t i = 0; i < read.size(); ++i) {
    const float size = 0.75f * std::abs(a[i]) + 0.25f * std::abs(b[i]);
    // Both parts and the result are rounded to bfloat16.
    ASSERT_NEAR(read[i], 0.75f * a[i] + 0.25f * b[i], size * 0x1p-7f) << i;
  }
  EXPECT_TRUE(std::filesystem::exists(folder / "c" / "tokenizer.json"));

  const auto refused = [&](const std::vector<WeighedCheckpoint>& checkpoints) {
    return average_checkpoints(checkpoints, folder / "d").error().code;
  };
  EXPECT_EQ(refused({}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused({{folder / "a", 1}, {folder / "b", 0}}), ErrorCode::kInvalidArgument);
  std::ofstream(folder / "b" / "tokenizer.json") << "{}";
  EXPECT_EQ(refused({{folder / "a", 1}, {folder / "b", 1}}), ErrorCode::kInvalidArgument);
}

TEST(Checkpoint, WhatDoesNotFitIsAnError) {
  const auto folder = test_folder();
  const Layout layout = make_layout(tiny_recipe().model, 300);
  auto weights = initial_weights(layout, 3);
  ASSERT_TRUE(export_checkpoint(layout, weights, 7, 5, folder).ok());
  std::vector<float> read;
  auto shape = tiny_recipe().model;
  shape.num_hidden_layers = 3;
  Layout other = make_layout(shape, 300);
  read.assign(other.total, 0.0f);
  EXPECT_EQ(import_checkpoint(other, folder, read).error().code, ErrorCode::kNotFound);
  shape = tiny_recipe().model;
  shape.intermediate_size = 32;
  other = make_layout(shape, 300);
  read.assign(other.total, 0.0f);
  EXPECT_EQ(import_checkpoint(other, folder, read).error().code, ErrorCode::kCorruptFile);
  weights[5] = NAN;
  EXPECT_EQ(export_checkpoint(layout, weights, 7, 5, folder).error().code, ErrorCode::kNonFinite);
}

TEST(Checkpoint, ATrunkWithoutHeadsStartsWithFreshOnes) {
  const auto folder = test_folder();
  const Layout layout = make_layout(tiny_recipe().model, 300);
  const auto weights = initial_weights(layout, 3);
  ASSERT_TRUE(export_checkpoint(layout, weights, 7, 5, folder).ok());
  // The same file without the heads, in F32, is a plain Qwen3 checkpoint.
  const auto file = bytes::SafetensorsFile::open(folder / "model.safetensors");
  ASSERT_TRUE(file.ok());
  std::vector<bytes::TensorToWrite> trunk;
  for (const auto& t : file->tensors()) {
    if (t.name.starts_with("model.")) {
      trunk.push_back({std::string(t.name), t.dtype, {t.shape.begin(), t.shape.end()}, t.data});
    }
  }
  const auto plain = folder / "plain";
  std::filesystem::create_directories(plain);
  ASSERT_TRUE(bytes::write_safetensors(plain / "model.safetensors", trunk, {}).ok());
  auto read = initial_weights(layout, 99);
  const auto fresh = read;
  const auto count = import_checkpoint(layout, plain, read);
  ASSERT_TRUE(count.ok()) << count.error().message;
  EXPECT_EQ(*count, trunk.size());
  const Piece& head = layout.find("query.risk");
  EXPECT_EQ(read[head.offset], fresh[head.offset]);
  EXPECT_EQ(read[0], rounded(weights[0]));
}

}  // namespace
}  // namespace qwen3guard::training
