#include "checkpoint_fixture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "apps/expected_tensors.h"
#include "bytes/safetensors.h"
#include "model/config.h"
#include "program.h"
#include "qwen3guard/verdict.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::apps::test {
namespace {

nlohmann::json config_json(std::size_t vocabulary, std::size_t max_positions) {
  const nlohmann::json risks = {{"0", "Safe"}, {"1", "Unsafe"}, {"2", "Controversial"}};
  nlohmann::json query = nlohmann::json::object(), response = nlohmann::json::object();
  for (std::size_t i = 0; i < kQueryCategoryCount; ++i) {
    const std::string name(category_name(static_cast<Category>(i)));
    query[std::to_string(i)] = name;
    if (i < kResponseCategoryCount) response[std::to_string(i)] = name;
  }
  return {{"architectures", {"Qwen3ForGuardModel"}},
          {"model_type", "qwen3"},
          {"hidden_act", "silu"},
          {"attention_bias", false},
          {"hidden_size", 32},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 16},
          {"intermediate_size", 64},
          {"vocab_size", vocabulary},
          {"max_position_embeddings", max_positions},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 1000000},
          {"tie_word_embeddings", true},
          {"torch_dtype", "float32"},
          {"guard_inner_size", 32},
          {"num_category", 8},
          {"num_query_category", 9},
          {"num_risk_level", 3},
          {"num_query_risk_level", 3},
          {"query_risk_level_map", risks},
          {"response_risk_level_map", risks},
          {"query_category_map", query},
          {"response_category_map", response}};
}

}  // namespace

void write_checkpoint(const std::filesystem::path& directory, const CheckpointOptions& options) {
  std::filesystem::create_directories(directory);
  const std::filesystem::path golden = QG_TEST_DATA "/tokenizer";
  const auto tokenizer = tokens::Tokenizer::load(golden);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const nlohmann::json json = config_json((*tokenizer)->vocabulary_size(), options.max_positions);
  write_text(directory / "config.json", json.dump(1));
  const auto config = model::parse_config(json);
  ASSERT_TRUE(config.ok()) << config.error().message;

  std::mt19937 random(options.seed);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<std::vector<float>> values;
  std::vector<bytes::TensorToWrite> tensors;
  for (const ExpectedTensor& tensor : expected_tensors(*config)) {
    std::size_t count = 1;
    for (const std::int64_t size : tensor.shape) count *= static_cast<std::size_t>(size);
    const bool norm = tensor.shape.size() == 1;
    const float scale = norm ? 0.1f : 1.0f / std::sqrt(static_cast<float>(tensor.shape.back()));
    std::vector<float>& data = values.emplace_back(count);
    for (float& value : data) value = (norm ? 1.0f : 0.0f) + scale * normal(random);
    if (options.nan) std::fill(data.begin(), data.end(), std::numeric_limits<float>::quiet_NaN());
    if (tensor.name == options.leave_out) continue;
    tensors.push_back(
        {tensor.name, bytes::DType::kF32, tensor.shape, std::as_bytes(std::span(data))});
  }
  const auto written = bytes::write_safetensors(directory / "model.safetensors", tensors, {});
  ASSERT_TRUE(written.ok()) << written.error().message;
  if (options.tokenizer) {
    std::filesystem::copy_file(golden / "tokenizer.json", directory / "tokenizer.json",
                               std::filesystem::copy_options::overwrite_existing);
  }
}

const std::filesystem::path& shared_checkpoint() {
  static const TemporaryDirectory directory;
  static const std::filesystem::path path = [] {
    write_checkpoint(directory / "model");
    return directory / "model";
  }();
  return path;
}

}  // namespace qwen3guard::apps::test
