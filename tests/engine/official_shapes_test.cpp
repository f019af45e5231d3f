// The published shapes (0.6B, 4B, 8B), sharded as published, load and judge a prompt without
// copying their weights: sparse files stand in for the weights, which read as zeros.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "paths.h"
#include "qwen3guard/guard.h"

namespace qwen3guard {
namespace {

struct Shape {
  const char* name;
  std::size_t hidden, layers, heads, kv_heads, intermediate, shards;
  bool tied;
};

struct Tensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t bytes() const {
    std::size_t n = 2;  // BF16
    for (const std::size_t d : shape) n *= d;
    return n;
  }
};

constexpr std::size_t kVocabulary = 151936, kHeadDim = 128, kInner = 512;

std::vector<Tensor> stream_tensors(const Shape& s) {
  std::vector<Tensor> all = {{"model.embed_tokens.weight", {kVocabulary, s.hidden}},
                             {"model.norm.weight", {s.hidden}}};
  for (std::size_t l = 0; l < s.layers; ++l) {
    const std::string p = "model.layers." + std::to_string(l) + ".";
    const std::size_t q = s.heads * kHeadDim, kv = s.kv_heads * kHeadDim;
    for (const Tensor& t : std::vector<Tensor>{{"input_layernorm", {s.hidden}},
                                               {"post_attention_layernorm", {s.hidden}},
                                               {"self_attn.q_proj", {q, s.hidden}},
                                               {"self_attn.k_proj", {kv, s.hidden}},
                                               {"self_attn.v_proj", {kv, s.hidden}},
                                               {"self_attn.o_proj", {s.hidden, q}},
                                               {"self_attn.q_norm", {kHeadDim}},
                                               {"self_attn.k_norm", {kHeadDim}},
                                               {"mlp.gate_proj", {s.intermediate, s.hidden}},
                                               {"mlp.up_proj", {s.intermediate, s.hidden}},
                                               {"mlp.down_proj", {s.hidden, s.intermediate}}}) {
      all.push_back({p + t.name + ".weight", t.shape});
    }
  }
  for (const std::string p : {"", "query_"}) {
    all.push_back({p + "risk_level_category_pre.weight", {kInner, s.hidden}});
    all.push_back({p + "risk_level_category_layernorm.weight", {kInner}});
    all.push_back({p + "risk_level_head.weight", {3, kInner}});
    all.push_back({p + "category_head.weight", {p.empty() ? 8u : 9u, kInner}});
  }
  return all;
}

void write_sparse_shard(const std::filesystem::path& path, std::span<const Tensor> tensors) {
  nlohmann::json header;
  std::size_t offset = 0;
  for (const Tensor& t : tensors) {
    header[t.name] = {
        {"dtype", "BF16"}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes()}}};
    offset += t.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), 8);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  ASSERT_TRUE(file.good());
  std::filesystem::resize_file(path, 8 + length + offset);
}

void write_checkpoint(const std::filesystem::path& directory, const Shape& s) {
  const nlohmann::json config = {{"architectures", {"Qwen3ForGuardModel"}},
                                 {"hidden_size", s.hidden},
                                 {"num_hidden_layers", s.layers},
                                 {"num_attention_heads", s.heads},
                                 {"num_key_value_heads", s.kv_heads},
                                 {"head_dim", kHeadDim},
                                 {"intermediate_size", s.intermediate},
                                 {"vocab_size", kVocabulary},
                                 {"max_position_embeddings", 8192},
                                 {"rope_theta", 1000000},
                                 {"rms_norm_eps", 1e-6},
                                 {"tie_word_embeddings", s.tied},
                                 {"guard_inner_size", kInner}};
  std::ofstream(directory / "config.json") << config.dump(2);
  const std::vector<Tensor> tensors = stream_tensors(s);
  if (s.shards == 1) {
    write_sparse_shard(directory / "model.safetensors", tensors);
  } else {
    nlohmann::json map;
    const std::size_t per_shard = (tensors.size() + s.shards - 1) / s.shards;
    for (std::size_t i = 0; i < s.shards; ++i) {
      char name[64];
      std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, s.shards);
      const std::size_t begin = i * per_shard;
      const auto part =
          std::span(tensors).subspan(begin, std::min(per_shard, tensors.size() - begin));
      write_sparse_shard(directory / name, part);
      for (const Tensor& t : part) map[t.name] = name;
    }
    std::ofstream(directory / "model.safetensors.index.json")
        << nlohmann::json{{"weight_map", map}}.dump();
  }
  std::filesystem::copy_file(golden_tokenizer_file(), directory / "tokenizer.json");
}

// Anonymous resident memory of this process, in bytes.
std::size_t anonymous_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) * 1024;
  }
  return 0;
}

class OfficialShapesTest : public testing::TestWithParam<Shape> {};

TEST_P(OfficialShapesTest, LoadsAndJudgesAPromptInLittleMemory) {
#if defined(__SANITIZE_THREAD__)
  // Whose shadow of the mapped weights, all of which are read, is several times their size.
  if (GetParam().hidden > 2000) GTEST_SKIP() << "needs more memory than machines have";
#endif
  std::string name = (std::filesystem::temp_directory_path() / "qwen3guard-shape-XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  write_checkpoint(name, GetParam());
  {
    const std::size_t before = anonymous_memory();
    const auto guard = Guard::load(name);
    ASSERT_TRUE(guard.ok()) << guard.error().message;
    const auto verdict = guard->moderate({{Role::kUser, "Hi"}}, Policy::strict());
    ASSERT_TRUE(verdict.ok()) << verdict.error().message;
    // Zero weights say nothing: all classes are equally likely.
    for (const float p : verdict->probabilities.p) EXPECT_NEAR(p, 1.0f / 3, 1e-6f);
    ASSERT_GT(before, 0u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(anonymous_memory(), before + (std::size_t{1} << 30));
#endif
    RecordProperty(
        "anonymous_mb",
        static_cast<int>(static_cast<std::ptrdiff_t>(anonymous_memory() - before) / (1 << 20)));
  }
  std::filesystem::remove_all(name);
}

INSTANTIATE_TEST_SUITE_P(Published, OfficialShapesTest,
                         testing::Values(Shape{"B06", 1024, 28, 16, 8, 3072, 1, true},
                                         Shape{"B4", 2560, 36, 32, 8, 9728, 2, true},
                                         Shape{"B8", 4096, 36, 32, 8, 12288, 4, false}),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace qwen3guard
