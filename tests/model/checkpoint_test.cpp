// Checkpoints in GGUF files: names, configuration, and block formats repacked on load.

#include "model/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "model/gguf_names.h"
#include "model/linear.h"

namespace qwen3guard::model {
namespace {

TEST(GgufNames, AreTheCommunitys) {
  EXPECT_EQ(gguf_tensor_name("model.embed_tokens.weight"), "token_embd.weight");
  EXPECT_EQ(gguf_tensor_name("lm_head.weight"), "output.weight");
  EXPECT_EQ(gguf_tensor_name("model.layers.27.self_attn.q_norm.weight"),
            "blk.27.attn_q_norm.weight");
  EXPECT_EQ(gguf_tensor_name("model.layers.0.mlp.down_proj.weight"), "blk.0.ffn_down.weight");
  EXPECT_FALSE(gguf_tensor_name("risk_level_head.weight"));
  EXPECT_FALSE(gguf_tensor_name("model.layers.0.unknown.weight"));
  EXPECT_FALSE(gguf_tensor_name("model.layers."));
}

class GgufConfig : public testing::Test {
 protected:
  GgufConfig() {
    ModelConfig config;
    config.hidden_size = config.intermediate_size = 32;
    config.layers = 2;
    config.heads = config.kv_heads = 2;
    config.head_dim = 16;
    config.vocabulary_size = 4;
    config.max_positions = 64;
    config.guard.emplace();
    config.guard->inner_size = 8;
    config.guard->query_risk_names = {"Safe", "Unsafe", "Controversial"};
    metadata_ = gguf_metadata(config, "test");
  }
  Result<ModelConfig> read() {
    const auto path = std::filesystem::temp_directory_path() / "qg_gguf_config.gguf";
    const std::vector<float> embeddings(4 * 32);
    const std::vector<bytes::GgufTensorToWrite> tensors = {{"token_embd.weight",
                                                            bytes::GgmlType::kF32,
                                                            {4, 32},
                                                            std::as_bytes(std::span(embeddings))}};
    EXPECT_TRUE(bytes::write_gguf(path, metadata_, tensors).ok());
    const auto file = bytes::GgufFile::open(path);
    std::filesystem::remove(path);
    return gguf_config(*file);
  }
  void set(const std::string& key, bytes::GgufValue value) {
    for (auto& [name, old] : metadata_) {
      if (name == key) old = value;
    }
  }
  void drop(const std::string& key) {
    std::erase_if(metadata_, [&](const auto& entry) { return entry.first == key; });
  }
  bytes::GgufMetadata metadata_;
};

TEST_F(GgufConfig, ComesBack) {
  const auto config = read();
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->hidden_size, 32u);
  EXPECT_EQ(config->layers, 2u);
  EXPECT_EQ(config->vocabulary_size, 4u);
  EXPECT_EQ(config->max_positions, 64u);
  EXPECT_TRUE(config->tied_embeddings);
  ASSERT_TRUE(config->guard.has_value());
  EXPECT_EQ(config->guard->inner_size, 8u);
  EXPECT_EQ(config->guard->query_risk_names.at(2), "Controversial");
  EXPECT_EQ(config->rms_epsilon, 1e-6f);
}

TEST_F(GgufConfig, WithoutOurKeysIsAGenModel) {
  drop("qwen3guard.inner_size");
  const auto config = read();
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_FALSE(config->guard.has_value());
}

TEST_F(GgufConfig, WhatIsWrongIsNamed) {
  const auto before = metadata_;
  const auto refused = [&](const std::string& key) {
    const auto config = read();
    ASSERT_FALSE(config.ok()) << key;
    EXPECT_NE(config.error().message.find(key), std::string::npos) << config.error().message;
    metadata_ = before;
  };
  set("general.architecture", std::string("llama"));
  refused("general.architecture");
  for (const char* key : {"general.architecture", "qwen3.block_count", "qwen3.rope.freq_base",
                          "qwen3.attention.key_length"}) {
    drop(key);
    refused(key);
  }
  set("qwen3.block_count", std::uint32_t{0});
  refused("num_hidden_layers");
  set("qwen3.attention.head_count_kv", std::uint32_t{7});
  refused("num_key_value_heads");
  metadata_.emplace_back("qwen3.rope.scaling.type", std::string("yarn"));
  refused("rope_scaling");
}

// Repacking a block format as 8 bits: off by at most half a step of 1 / 127 of a block's largest.
TEST(Linear, RepacksTheCommunitysBlocks) {
  const std::filesystem::path folder = std::filesystem::path(QG_TEST_DATA) / "gguf";
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = bytes::GgufFile::open(entry.path());
    ASSERT_TRUE(file.ok()) << file.error().message;
    for (const bytes::GgufTensor& tensor : file->tensors()) {
      const bool known =
          tensor.type == bytes::GgmlType::kQ8_0 || tensor.type == bytes::GgmlType::kQ4_0 ||
          tensor.type == bytes::GgmlType::kQ4_K || tensor.type == bytes::GgmlType::kQ6_K;
      if (!known || tensor.shape.size() != 2) continue;
      ++seen;
      const StoredMatrix stored = {tensor.type, tensor.data,
                                   static_cast<std::size_t>(tensor.shape[0]),
                                   static_cast<std::size_t>(tensor.shape[1])};
      const auto linear = Linear::create({stored}, WeightFormat::kStored);
      ASSERT_TRUE(linear.ok()) << linear.error().message;
      EXPECT_TRUE(linear->packed());
      // x picks one column: the product is that weight, as packed, times 1.
      base::ThreadPool pool(1);
      Quantized scratch;
      std::vector<float> row(stored.columns), out(stored.rows);
      for (const std::size_t column : {std::size_t{0}, std::size_t{17}, stored.columns - 1}) {
        std::vector<float> x(stored.columns);
        x[column] = 1.0f;
        linear->multiply(kernels::active_kernels(), x.data(), 1, out.data(), scratch, pool);
        for (std::size_t r = 0; r < stored.rows; ++r) {
          ASSERT_TRUE(stored.widen(r, row).ok());
          float largest = 0;
          for (std::size_t c = column / 32 * 32; c < column / 32 * 32 + 32; ++c)
            largest = std::max(largest, std::abs(row[c]));
          const bool exact =
              tensor.type == bytes::GgmlType::kQ8_0 || tensor.type == bytes::GgmlType::kQ4_0;
          // The scale is rounded to a half float: 2^-11 of the value.
          const float step = largest / 127;
          const float allowed =
              (exact ? 0 : step / 2 + largest * 0x1p-11f) + 4 * 1.2e-7f * std::abs(row[column]);
          EXPECT_NEAR(out[r], row[column], allowed) << bytes::ggml_type_name(tensor.type);
        }
      }
    }
  }
  EXPECT_GE(seen, 4u) << "the golden files hold every format";
}

}  // namespace
}  // namespace qwen3guard::model
