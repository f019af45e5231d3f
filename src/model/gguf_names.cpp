#include "model/gguf_names.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/try.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard::model {
namespace {

using Name = std::pair<std::string_view, std::string_view>;

constexpr std::array<Name, 3> kOutside = {{{"model.embed_tokens.weight", "token_embd.weight"},
                                           {"model.norm.weight", "output_norm.weight"},
                                           {"lm_head.weight", "output.weight"}}};
constexpr std::array<Name, 11> kInLayer = {{{"input_layernorm.weight", "attn_norm.weight"},
                                            {"self_attn.q_proj.weight", "attn_q.weight"},
                                            {"self_attn.k_proj.weight", "attn_k.weight"},
                                            {"self_attn.v_proj.weight", "attn_v.weight"},
                                            {"self_attn.q_norm.weight", "attn_q_norm.weight"},
                                            {"self_attn.k_norm.weight", "attn_k_norm.weight"},
                                            {"self_attn.o_proj.weight", "attn_output.weight"},
                                            {"post_attention_layernorm.weight", "ffn_norm.weight"},
                                            {"mlp.gate_proj.weight", "ffn_gate.weight"},
                                            {"mlp.up_proj.weight", "ffn_up.weight"},
                                            {"mlp.down_proj.weight", "ffn_down.weight"}}};

// Label maps: our key, config.json's key.
constexpr std::array<Name, 4> kLabels = {
    {{"qwen3guard.query_risk_levels", "query_risk_level_map"},
     {"qwen3guard.query_categories", "query_category_map"},
     {"qwen3guard.response_risk_levels", "response_risk_level_map"},
     {"qwen3guard.response_categories", "response_category_map"}}};
constexpr const char* kInnerSize = "qwen3guard.inner_size";

constexpr std::string_view kLayers = "model.layers.";

}  // namespace

std::optional<std::string> gguf_tensor_name(std::string_view official) {
  for (const auto& [from, to] : kOutside) {
    if (official == from) return std::string(to);
  }
  if (official.starts_with(kLayers)) {
    const std::string_view rest = official.substr(kLayers.size());
    const std::size_t dot = rest.find('.');
    for (const auto& [from, to] : kInLayer) {
      if (dot != rest.npos && rest.substr(dot + 1) == from)
        return "blk." + std::string(rest.substr(0, dot)) + "." + std::string(to);
    }
  }
  return std::nullopt;
}

std::string gguf_head_key(std::string_view official) {
  return "qwen3guard." + std::string(official);
}

// Puts the values where config.json has them, so that one reader checks both.
Result<ModelConfig> gguf_config(const bytes::GgufFile& file) {
  QG_TRY(const std::string_view architecture, file.get<std::string_view>("general.architecture"));
  if (architecture != "qwen3") {
    return Error{ErrorCode::kUnsupported, "general.architecture is \"" + std::string(architecture) +
                                              "\"; this program runs \"qwen3\""};
  }
  const bytes::GgufTensor* embeddings = file.find("token_embd.weight");
  if (embeddings == nullptr || embeddings->shape.size() != 2) {
    return Error{ErrorCode::kNotFound,
                 "tensor token_embd.weight is missing or not a matrix; is this a whole model?"};
  }
  const bool guard = file.find_metadata(kInnerSize) != nullptr;
  nlohmann::json json = {{"architectures", {guard ? "Qwen3ForGuardModel" : "Qwen3ForCausalLM"}},
                         {"vocab_size", embeddings->shape[0]},
                         {"tie_word_embeddings", file.find("output.weight") == nullptr}};
  static constexpr std::array<Name, 7> kSizes = {
      {{"qwen3.embedding_length", "hidden_size"},
       {"qwen3.block_count", "num_hidden_layers"},
       {"qwen3.attention.head_count", "num_attention_heads"},
       {"qwen3.attention.head_count_kv", "num_key_value_heads"},
       {"qwen3.attention.key_length", "head_dim"},
       {"qwen3.feed_forward_length", "intermediate_size"},
       {"qwen3.context_length", "max_position_embeddings"}}};
  for (const auto& [key, name] : kSizes) {
    QG_TRY(json[std::string(name)], file.get<std::uint32_t>(key));
  }
  QG_TRY(json["rope_theta"], file.get<double>("qwen3.rope.freq_base"));
  QG_TRY(json["rms_norm_eps"], file.get<double>("qwen3.attention.layer_norm_rms_epsilon"));
  if (const auto* scaling = file.find_metadata("qwen3.rope.scaling.type")) {
    QG_TRY(const std::string_view type, scaling->as<std::string_view>());
    if (type != "none") json["rope_scaling"] = {{"type", std::string(type)}};
  }
  // What would change the arithmetic and has no place in our config.
  for (const char* key : {"qwen3.rope.scaling.factor", "qwen3.rope.scale_linear"}) {
    if (file.find_metadata(key) == nullptr) continue;
    QG_TRY(const double factor, file.get<double>(key));
    if (factor != 1.0) json["rope_scaling"] = {{"factor", factor}};
  }
  for (const bytes::GgufTensor& tensor : file.tensors()) {
    if (tensor.name.ends_with(".bias") || tensor.name == "rope_freqs.weight") {
      return Error{ErrorCode::kUnsupported, "tensor " + std::string(tensor.name) +
                                                " is not part of a dense Qwen3; this program "
                                                "cannot take it into account"};
    }
  }
  if (guard) {
    QG_TRY(json["guard_inner_size"], file.get<std::uint32_t>(kInnerSize));
    for (const auto& [key, name] : kLabels) {
      if (file.find_metadata(key) == nullptr) continue;
      if (file.find_metadata(key)->count > kQueryCategoryCount) {
        return Error{ErrorCode::kCorruptFile, "key " + std::string(key) + ": expected at most " +
                                                  std::to_string(kQueryCategoryCount) +
                                                  " labels, found " +
                                                  file.find_metadata(key)->type_text()};
      }
      QG_TRY(const auto labels, file.get<std::vector<std::string_view>>(key));
      auto& map = json[std::string(name)] = nlohmann::json::object();
      for (std::size_t i = 0; i < labels.size(); ++i) map[std::to_string(i)] = labels[i];
    }
  }
  auto config = parse_config(json);
  if (!config.ok()) {
    return std::move(config).error().with_context(
        "metadata (keys under their names in config.json)");
  }
  return config;
}

bytes::GgufMetadata gguf_metadata(const ModelConfig& c, const std::string& name) {
  const auto u32 = [](std::size_t value) { return static_cast<std::uint32_t>(value); };
  bytes::GgufMetadata metadata = {{"general.architecture", std::string("qwen3")},
                                  {"general.name", name},
                                  {"qwen3.context_length", u32(c.max_positions)},
                                  {"qwen3.embedding_length", u32(c.hidden_size)},
                                  {"qwen3.block_count", u32(c.layers)},
                                  {"qwen3.feed_forward_length", u32(c.intermediate_size)},
                                  {"qwen3.attention.head_count", u32(c.heads)},
                                  {"qwen3.attention.head_count_kv", u32(c.kv_heads)},
                                  {"qwen3.attention.key_length", u32(c.head_dim)},
                                  {"qwen3.attention.value_length", u32(c.head_dim)},
                                  {"qwen3.attention.layer_norm_rms_epsilon", c.rms_epsilon},
                                  {"qwen3.rope.freq_base", static_cast<float>(c.rope_theta)}};
  if (!c.guard) return metadata;
  metadata.emplace_back(kInnerSize, u32(c.guard->inner_size));
  const std::array<const std::vector<std::string>*, 4> labels = {
      &c.guard->query_risk_names, &c.guard->query_category_names, &c.guard->response_risk_names,
      &c.guard->response_category_names};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!labels[i]->empty()) metadata.emplace_back(std::string(kLabels[i].first), *labels[i]);
  }
  return metadata;
}

}  // namespace qwen3guard::model
