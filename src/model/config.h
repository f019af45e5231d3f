// config.json of a Qwen3 checkpoint.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// Head sizes and label names of a Stream model (Qwen3ForGuardModel). Names are the checkpoint's
/// own, by class index, with the stray quotes of some published maps removed.
struct GuardHeadsConfig {
  std::size_t inner_size = 0;  // 0: config.json does not say; read from the tensors' shapes
  std::vector<std::string> query_risk_names;
  std::vector<std::string> query_category_names;
  std::vector<std::string> response_risk_names;
  std::vector<std::string> response_category_names;
};

struct ModelConfig {
  std::size_t hidden_size = 0;
  std::size_t layers = 0;
  std::size_t heads = 0;
  std::size_t kv_heads = 0;
  std::size_t head_dim = 0;  // independent of hidden_size / heads
  std::size_t intermediate_size = 0;
  std::size_t vocabulary_size = 0;
  std::size_t max_positions = 0;
  double rope_theta = 1e6;
  float rms_epsilon = 1e-6f;
  bool tied_embeddings = false;
  /// Present for Qwen3ForGuardModel, absent for Qwen3ForCausalLM.
  std::optional<GuardHeadsConfig> guard;

  std::size_t query_width() const { return heads * head_dim; }
  std::size_t kv_width() const { return kv_heads * head_dim; }
};

/// Errors: kCorruptFile (a key missing, of the wrong type, or contradicting another), kUnsupported
/// (another architecture, rope scaling, attention bias, sliding-window layers …).
Result<ModelConfig> parse_config(const nlohmann::json& json);
/// Reads directory/config.json.
Result<ModelConfig> load_config(const std::filesystem::path& directory);

}  // namespace qwen3guard::model
