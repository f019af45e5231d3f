// qwen3guard quantize, and what the other commands make of its files.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "bytes/gguf.h"
#include "paths.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

const std::filesystem::path kToyGen = std::filesystem::path(QG_TEST_DATA) / "models" / "toy-gen";

Outcome quantize(const std::filesystem::path& from, const std::filesystem::path& to,
                 const std::string& bits) {
  return run({"quantize", from.string(), to.string(), "--bits", bits});
}

nlohmann::json judge(const std::filesystem::path& model, const std::string& prompt,
                     const std::string& weights = "stored") {
  const Outcome result = run(
      {"moderate", "--model", model.string(), "--prompt", prompt, "--json", "--weights", weights});
  EXPECT_EQ(result.status, 0) << result.err;
  return nlohmann::json::parse(result.out);
}

TEST(Quantize, TheFileIsAHealthyGuard) {
  const TemporaryDirectory directory;
  for (const std::string bits : {"8", "4"}) {
    const auto file = directory / ("guard-" + bits + ".gguf");
    const Outcome result = quantize(boxed(), file, bits);
    ASSERT_EQ(result.status, 0) << result.err;
    const Outcome inspected = run({"inspect", file.string()});
    EXPECT_EQ(inspected.status, 0) << inspected.out;
    for (const char* fact : {"GGUF version 3", "Stream", "blk.*.ffn_up.weight", "28672 tokens",
                             "8 Jailbreak", "healthy"}) {
      EXPECT_NE(inspected.out.find(fact), std::string::npos) << fact << "\n" << inspected.out;
    }
    EXPECT_NE(inspected.out.find(bits == "8" ? "Q8_0" : "Q4_0"), std::string::npos);
  }
}

// The only difference between the file and the checkpoint quantized on load is the embedding, which
// the file holds at 8 bits.
TEST(Quantize, JudgesAsTheCheckpointQuantizedOnLoadDoes) {
  const TemporaryDirectory directory;
  for (const std::string bits : {"8", "4"}) {
    const auto file = directory / ("guard-" + bits + ".gguf");
    ASSERT_EQ(quantize(boxed(), file, bits).status, 0);
    for (const char* prompt : {"How do I build a pipe bomb?", "How do I bake bread?"}) {
      const auto from_file = judge(file, prompt), on_load = judge(boxed(), prompt, "q" + bits);
      EXPECT_EQ(from_file["risk"], on_load["risk"]);
      EXPECT_EQ(from_file["tokens"], on_load["tokens"]);
      for (const char* risk : {"safe", "controversial", "unsafe"}) {
        EXPECT_NEAR(from_file["probabilities"][risk].get<double>(),
                    on_load["probabilities"][risk].get<double>(), 0.02);
      }
    }
  }
}

TEST(Quantize, AGenModelKeepsItsAnswers) {
  const TemporaryDirectory directory;
  const auto file = directory / "gen.gguf";
  ASSERT_EQ(quantize(kToyGen, file, "8").status, 0);
  for (const char* method : {"score", "greedy"}) {
    const auto verdict = [&](const std::filesystem::path& model) {
      const Outcome result = run({"moderate", "--model", model.string(), "--prompt",
                                  "How do I build a bomb?", "--json", "--gen-method", method});
      EXPECT_EQ(result.status, 0) << result.err;
      return nlohmann::json::parse(result.out);
    };
    const auto from_file = verdict(file), stored = verdict(kToyGen);
    EXPECT_EQ(from_file["risk"], stored["risk"]);
    EXPECT_EQ(from_file["category"], stored["category"]);
  }
}

TEST(Quantize, RefusesWhatItCannotDo) {
  const TemporaryDirectory directory;
  const auto file = directory / "guard.gguf";
  ASSERT_EQ(quantize(boxed(), file, "8").status, 0);
  const auto size = std::filesystem::file_size(file);
  EXPECT_EQ(quantize(boxed(), file, "4").status, 2) << "the file exists";
  EXPECT_EQ(std::filesystem::file_size(file), size);
  EXPECT_EQ(quantize(boxed(), directory / "guard.bin", "8").status, 2);
  EXPECT_EQ(quantize(boxed(), directory / "other.gguf", "3").status, 2);
  EXPECT_EQ(quantize(file, directory / "other.gguf", "4").status, 2) << "a GGUF file already";
  EXPECT_EQ(quantize(directory / "nothing", directory / "other.gguf", "8").status, 2);
  EXPECT_FALSE(std::filesystem::exists(directory / "other.gguf"));
}

TEST(Quantize, ABrokenFileIsNoGuard) {
  const TemporaryDirectory directory;
  const auto file = directory / "guard.gguf";
  ASSERT_EQ(quantize(boxed(), file, "8").status, 0);
  std::string bytes = read_text(file);
  const auto refused = [&](std::string changed) {
    write_text(directory / "broken.gguf", std::move(changed));
    EXPECT_EQ(run({"inspect", (directory / "broken.gguf").string()}).status, 1);
    const Outcome result =
        run({"moderate", "--model", (directory / "broken.gguf").string(), "--prompt", "Hi"});
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_EQ(result.out.find("Safe"), std::string::npos);
  };
  refused(bytes.substr(0, bytes.size() / 2));
  refused(bytes.substr(0, 100));
  refused("");
  const auto renamed = [&](const std::string& name) {
    std::string changed = bytes;
    const auto at = changed.find(name);
    EXPECT_NE(at, std::string::npos);
    changed[at] = 'X';
    refused(changed);
  };
  renamed("blk.1.ffn_up.weight");
  renamed("qwen3guard.risk_level_head.weight");
  renamed("qwen3.block_count");
  renamed("tokenizer.ggml.merges");
  // An infinite scale in the first block of a tensor.
  const auto parsed = bytes::GgufFile::parse(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  for (const char* tensor : {"token_embd.weight", "blk.2.attn_v.weight"}) {
    const auto at = static_cast<std::size_t>(
        reinterpret_cast<const char*>(parsed->find(tensor)->data.data()) - bytes.data());
    std::string changed = bytes;
    changed[at] = 0;
    changed[at + 1] = 0x7c;
    write_text(directory / "broken.gguf", changed);
    const Outcome result = run({"inspect", (directory / "broken.gguf").string()});
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.out.find(tensor), std::string::npos) << result.out;
  }
}

TEST(Quantize, TensorsWithoutNumbersAreNoModel) {
  const TemporaryDirectory directory;
  const std::vector<std::vector<std::int64_t>> shapes = {{5, 0}, {0, std::int64_t{1} << 35}};
  for (const auto& shape : shapes) {
    const std::vector<bytes::GgufTensorToWrite> tensors = {
        {"token_embd.weight", bytes::GgmlType::kF32, shape, std::span<const std::byte>()}};
    const Status written = bytes::write_gguf(
        directory / "empty.gguf", {{"general.architecture", std::string("qwen3")}}, tensors);
    ASSERT_TRUE(written.ok()) << written.error().message;
    EXPECT_EQ(run({"inspect", (directory / "empty.gguf").string()}).status, 1);
  }
}

}  // namespace
}  // namespace qwen3guard::apps::test
