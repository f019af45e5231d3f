#include "model/weights.h"

#include "base/try.h"

namespace qwen3guard::model {

Result<Weights> find_weights(const Checkpoint& checkpoint, WeightFormat format, bool all_logits) {
  const ModelConfig& c = checkpoint.config();
  Weights weights;
  QG_TRY(weights.embeddings,
         checkpoint.find_stored("model.embed_tokens.weight", c.vocabulary_size, c.hidden_size));
  QG_TRY(weights.final_norm, checkpoint.find_vector("model.norm.weight", c.hidden_size));
  if (!c.guard) {
    weights.lm_head = weights.embeddings;
    if (!c.tied_embeddings) {
      QG_TRY(weights.lm_head,
             checkpoint.find_stored("lm_head.weight", c.vocabulary_size, c.hidden_size));
    }
    if (all_logits) {
      auto created = Linear::create({weights.lm_head}, format);
      if (!created.ok()) return std::move(created).error().with_context("LM head");
      weights.all_logits = std::move(created).value();
    }
  }
  // Only projections are widened on load: a type that cannot be read must not wait for a token.
  std::vector<float> row(c.hidden_size);
  for (const StoredMatrix* rows : {&weights.embeddings, &weights.lm_head}) {
    if (rows->empty()) continue;
    if (auto status = rows->widen(0, row); !status.ok())
      return std::move(status).error().with_context("embeddings or LM head");
  }

  struct Part {
    std::string name;
    std::size_t rows;
  };
  const auto linear = [&](const std::vector<Part>& parts, std::size_t columns) -> Result<Linear> {
    std::vector<StoredMatrix> matrices;
    for (const Part& part : parts) {
      QG_TRY(matrices.emplace_back(), checkpoint.find_stored(part.name, part.rows, columns));
    }
    auto created = Linear::create(matrices, format);
    if (!created.ok()) {
      std::string names;
      for (const Part& part : parts) names += (names.empty() ? "" : ", ") + part.name;
      return std::move(created).error().with_context(names);
    }
    weights.packed = weights.packed || created->packed();
    return created;
  };
  for (std::size_t i = 0; i < c.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const std::string attention = layer + "self_attn.";
    const std::string mlp = layer + "mlp.";
    LayerWeights w;
    QG_TRY(w.input_norm, checkpoint.find_vector(layer + "input_layernorm.weight", c.hidden_size));
    QG_TRY(w.qkv, linear({{attention + "q_proj.weight", c.query_width()},
                          {attention + "k_proj.weight", c.kv_width()},
                          {attention + "v_proj.weight", c.kv_width()}},
                         c.hidden_size));
    QG_TRY(w.query_norm, checkpoint.find_vector(attention + "q_norm.weight", c.head_dim));
    QG_TRY(w.key_norm, checkpoint.find_vector(attention + "k_norm.weight", c.head_dim));
    QG_TRY(w.output, linear({{attention + "o_proj.weight", c.hidden_size}}, c.query_width()));
    QG_TRY(w.post_norm,
           checkpoint.find_vector(layer + "post_attention_layernorm.weight", c.hidden_size));
    QG_TRY(w.gate_up, linear({{mlp + "gate_proj.weight", c.intermediate_size},
                              {mlp + "up_proj.weight", c.intermediate_size}},
                             c.hidden_size));
    QG_TRY(w.down, linear({{mlp + "down_proj.weight", c.hidden_size}}, c.intermediate_size));
    weights.layers.push_back(std::move(w));
  }
  return weights;
}

}  // namespace qwen3guard::model
