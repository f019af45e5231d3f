#include "apps/expected_tensors.h"

#include <initializer_list>
#include <utility>

#include "qwen3guard/verdict.h"

namespace qwen3guard::apps {

std::vector<ExpectedTensor> expected_tensors(const model::ModelConfig& c) {
  std::vector<ExpectedTensor> list;
  const auto add = [&list](std::string name, std::initializer_list<std::size_t> shape) {
    list.push_back({std::move(name) + ".weight", {shape.begin(), shape.end()}});
  };
  add("model.embed_tokens", {c.vocabulary_size, c.hidden_size});
  for (std::size_t i = 0; i < c.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm", {c.hidden_size});
    add(layer + "self_attn.q_proj", {c.query_width(), c.hidden_size});
    add(layer + "self_attn.k_proj", {c.kv_width(), c.hidden_size});
    add(layer + "self_attn.v_proj", {c.kv_width(), c.hidden_size});
    add(layer + "self_attn.q_norm", {c.head_dim});
    add(layer + "self_attn.k_norm", {c.head_dim});
    add(layer + "self_attn.o_proj", {c.hidden_size, c.query_width()});
    add(layer + "post_attention_layernorm", {c.hidden_size});
    add(layer + "mlp.gate_proj", {c.intermediate_size, c.hidden_size});
    add(layer + "mlp.up_proj", {c.intermediate_size, c.hidden_size});
    add(layer + "mlp.down_proj", {c.hidden_size, c.intermediate_size});
  }
  add("model.norm", {c.hidden_size});
  if (!c.guard) {
    if (!c.tied_embeddings) add("lm_head", {c.vocabulary_size, c.hidden_size});
    return list;
  }
  const std::size_t inner = c.guard->inner_size;
  for (const auto& [prefix, categories] : {std::pair{std::string("query_"), kQueryCategoryCount},
                                           std::pair{std::string(), kResponseCategoryCount}}) {
    add(prefix + "risk_level_category_pre", {inner, c.hidden_size});
    add(prefix + "risk_level_category_layernorm", {inner});
    add(prefix + "risk_level_head", {kRiskCount, inner});
    add(prefix + "category_head", {categories, inner});
  }
  return list;
}

}  // namespace qwen3guard::apps
