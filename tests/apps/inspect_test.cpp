#include <gtest/gtest.h>

#include <set>
#include <string>

#include "apps/expected_tensors.h"
#include "apps/inspect_checkpoint.h"
#include "bytes/safetensors.h"
#include "checkpoint_fixture.h"
#include "model/model.h"
#include "program.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::apps::test {
namespace {

Outcome inspect(const std::filesystem::path& path) { return run({"inspect", path.string()}); }

bool has(const Outcome& outcome, const std::string& text) {
  return outcome.out.find(text) != std::string::npos;
}

TEST(Inspect, AHealthyCheckpoint) {
  const Outcome result = inspect(shared_checkpoint());
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  for (const char* fact :
       {"Stream", "2 layers", "model.layers.*.mlp.up_proj.weight", "[64, 32]", "x 2", "F32",
        "<|im_end|>", "0 Safe, 1 Unsafe, 2 Controversial", "8 Jailbreak", "healthy"}) {
    EXPECT_TRUE(has(result, fact)) << fact << "\n" << result.out;
  }
}

TEST(Inspect, NamesEveryProblem) {
  const TemporaryDirectory directory;
  write_checkpoint(
      directory / "broken",
      {.tokenizer = false, .nan = true, .leave_out = "model.layers.1.mlp.up_proj.weight"});
  write_text(directory / "broken/notes.txt", "x");
  const Outcome result = inspect(directory / "broken");
  EXPECT_EQ(result.status, 1);
  for (const char* problem : {"tensor model.layers.1.mlp.up_proj.weight is missing",
                              "problem: tokenizer", "NaN", "problems", "note: file notes.txt"}) {
    EXPECT_TRUE(has(result, problem)) << problem << "\n" << result.out;
  }
}

TEST(Inspect, ConfigThatContradictsTheWeights) {
  const TemporaryDirectory directory;
  write_checkpoint(directory / "model");
  std::string config = read_text(directory / "model/config.json");
  const std::string was = "\"intermediate_size\": 64";
  config.replace(config.find(was), was.size(), "\"intermediate_size\": 96");
  write_text(directory / "model/config.json", config);
  const Outcome result = inspect(directory / "model");
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(has(result, "asks for shape [96, 32], found [64, 32]")) << result.out;
  write_text(directory / "model/config.json", "{}");
  EXPECT_EQ(inspect(directory / "model").status, 1);
  std::filesystem::remove(directory / "model/config.json");
  EXPECT_EQ(inspect(directory / "model").status, 1);
}

TEST(Inspect, TensorFiles) {
  const Outcome result = inspect(shared_checkpoint() / "model.safetensors");
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_TRUE(has(result, "query_risk_level_head.weight"));
  const TemporaryDirectory directory;
  write_text(directory / "torn.safetensors", "short");
  EXPECT_EQ(inspect(directory / "torn.safetensors").status, 1);
  EXPECT_EQ(inspect(directory / "none.safetensors").status, 2);
}

TEST(Inspect, NamesInFilesCannotReachTheTerminal) {
  const TemporaryDirectory directory;
  const float value = 1;
  const bytes::TensorToWrite tensor{
      "evil\x1b[2J", bytes::DType::kF32, {1}, std::as_bytes(std::span(&value, 1))};
  ASSERT_TRUE(
      bytes::write_safetensors(directory / "evil.safetensors", {&tensor, 1}, {{"k\x1b", "v\x07"}})
          .ok());
  const Outcome result = inspect(directory / "evil.safetensors");
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(result.out.find('\x07'), std::string::npos);
  EXPECT_TRUE(has(result, "evil\\x1b[2J"));
}

TEST(Inspect, PolicyFiles) {
  const TemporaryDirectory directory;
  write_text(directory / "good.json",
             R"({"version": 1, "name": "mine", "mode": "loose", "debounce": "official-eval",
                 "categories": {"PII": {"action": "flag", "threshold": 0.25}}})");
  const Outcome good = inspect(directory / "good.json");
  EXPECT_EQ(good.status, 0) << good.out;
  for (const char* fact :
       {"mine", "loose", "official-eval", "flag from 0.25", "block when most probable"}) {
    EXPECT_TRUE(has(good, fact)) << fact << "\n" << good.out;
  }
  write_text(directory / "bad.json", R"({"version": 1, "treshold": 0.5})");
  const Outcome bad = inspect(directory / "bad.json");
  EXPECT_EQ(bad.status, 1);
  EXPECT_TRUE(has(bad, "treshold"));
}

TEST(Inspect, WhatIsNotThereCannotBeRead) {
  const TemporaryDirectory directory;
  EXPECT_EQ(inspect(directory / "none").status, 2);
  EXPECT_EQ(inspect(directory / "none.json").status, 2);
  write_text(directory / "what.bin", "x");
  EXPECT_EQ(inspect(directory / "what.bin").status, 2);
  EXPECT_EQ(run({"inspect"}).status, 2);
}

// The list must be the one that the loaders go by: every golden checkpoint loads, and holds what it
// names.
TEST(ExpectedTensors, AreThoseOfTheLoaders) {
  for (const char* name :
       {"stream-bf16", "stream-sharded-f16", "gen-tied-f32", "gen-untied-bf16"}) {
    const std::filesystem::path directory = std::filesystem::path(QG_TEST_DATA "/models") / name;
    const auto loaded = model::Model::load(directory);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    std::set<std::string> expected, found;
    for (const ExpectedTensor& tensor : expected_tensors((*loaded)->config())) {
      expected.insert(tensor.name);
      EXPECT_NE((*loaded)->checkpoint().safetensors()->find(tensor.name), nullptr)
          << name << " " << tensor.name;
    }
    for (const auto* tensor : (*loaded)->checkpoint().safetensors()->tensors())
      found.insert(std::string(tensor->name));
    if ((*loaded)->config().tied_embeddings) found.erase("lm_head.weight");
    EXPECT_EQ(expected, found) << name;
  }
  // Without any one of them the checkpoint does not load.
  const TemporaryDirectory scratch;
  for (const char* left_out :
       {"model.norm.weight", "model.layers.0.self_attn.k_norm.weight",
        "query_risk_level_category_layernorm.weight", "category_head.weight"}) {
    const auto directory = scratch / left_out;
    write_checkpoint(directory, {.leave_out = left_out});
    const auto guard = Guard::load(directory);
    ASSERT_FALSE(guard.ok()) << left_out;
    EXPECT_NE(guard.error().message.find(left_out), std::string::npos) << guard.error().message;
  }
}

}  // namespace
}  // namespace qwen3guard::apps::test
