#include "model/weights.h"

#include "base/try.h"

namespace qwen3guard::model {
namespace {

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

Result<kernels::WeightType> weight_type(const bytes::TensorView& tensor) {
  switch (tensor.dtype) {
    case bytes::DType::kF32:
      return kernels::WeightType::kF32;
    case bytes::DType::kBF16:
      return kernels::WeightType::kBF16;
    case bytes::DType::kF16:
      return kernels::WeightType::kF16;
    default:
      return Error{ErrorCode::kUnsupported, "tensor " + std::string(tensor.name) +
                                                ": expected dtype BF16, F16 or F32, found " +
                                                std::string(bytes::dtype_name(tensor.dtype)) +
                                                "; convert the checkpoint to one of them"};
  }
}

Result<const bytes::TensorView*> find_shaped(const bytes::TensorStore& store,
                                             const std::string& name,
                                             std::vector<std::int64_t> shape) {
  const bytes::TensorView* tensor = store.find(name);
  if (tensor == nullptr) {
    return Error{ErrorCode::kNotFound,
                 "tensor " + name +
                     " is missing; config.json asks for it: is this the right "
                     "checkpoint, completely downloaded?"};
  }
  bool same = tensor->shape.size() == shape.size();
  for (std::size_t i = 0; same && i < shape.size(); ++i) {
    same = shape[i] == 0 ? tensor->shape[i] > 0 : tensor->shape[i] == shape[i];
  }
  if (!same) {
    return Error{ErrorCode::kCorruptFile, "tensor " + name + ": config.json asks for shape " +
                                              shape_text(shape) + ", found " +
                                              shape_text(tensor->shape) +
                                              "; config.json and weights do not belong together"};
  }
  return tensor;
}

}  // namespace

Result<kernels::Matrix> find_matrix(const bytes::TensorStore& store, const std::string& name,
                                    std::size_t rows, std::size_t columns) {
  QG_TRY(const bytes::TensorView* tensor,
         find_shaped(store, name,
                     {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)}));
  QG_TRY(const kernels::WeightType type, weight_type(*tensor));
  return kernels::Matrix{tensor->data.data(), type, static_cast<std::size_t>(tensor->shape[0]),
                         columns};
}

Result<std::vector<float>> find_vector(const bytes::TensorStore& store, const std::string& name,
                                       std::size_t size) {
  QG_TRY(const bytes::TensorView* tensor,
         find_shaped(store, name, {static_cast<std::int64_t>(size)}));
  QG_TRY(const kernels::WeightType type, weight_type(*tensor));
  std::vector<float> values(size);
  kernels::widen_row(tensor->data.data(), type, size, values.data());
  return values;
}

Result<Weights> find_weights(const bytes::TensorStore& store, const ModelConfig& c,
                             WeightFormat format) {
  Weights weights;
  QG_TRY(weights.embeddings,
         find_matrix(store, "model.embed_tokens.weight", c.vocabulary_size, c.hidden_size));
  QG_TRY(weights.final_norm, find_vector(store, "model.norm.weight", c.hidden_size));
  if (!c.guard) {
    if (c.tied_embeddings) {
      weights.lm_head = weights.embeddings;
    } else {
      QG_TRY(weights.lm_head,
             find_matrix(store, "lm_head.weight", c.vocabulary_size, c.hidden_size));
    }
  }

  struct Part {
    std::string name;
    std::size_t rows;
  };
  const auto linear = [&](const std::vector<Part>& parts, std::size_t columns) -> Result<Linear> {
    std::vector<kernels::Matrix> matrices;
    for (const Part& part : parts) {
      QG_TRY(matrices.emplace_back(), find_matrix(store, part.name, part.rows, columns));
    }
    if (format == WeightFormat::kStored) return Linear(std::move(matrices));
    auto quantized =
        Linear::quantize(matrices, format == WeightFormat::kQ8 ? kernels::PackedType::kQ8
                                                               : kernels::PackedType::kQ4);
    if (!quantized.ok()) return std::move(quantized).error().with_context(parts.front().name);
    return quantized;
  };
  for (std::size_t i = 0; i < c.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const std::string attention = layer + "self_attn.";
    const std::string mlp = layer + "mlp.";
    LayerWeights w;
    QG_TRY(w.input_norm, find_vector(store, layer + "input_layernorm.weight", c.hidden_size));
    QG_TRY(w.qkv, linear({{attention + "q_proj.weight", c.query_width()},
                          {attention + "k_proj.weight", c.kv_width()},
                          {attention + "v_proj.weight", c.kv_width()}},
                         c.hidden_size));
    QG_TRY(w.query_norm, find_vector(store, attention + "q_norm.weight", c.head_dim));
    QG_TRY(w.key_norm, find_vector(store, attention + "k_norm.weight", c.head_dim));
    QG_TRY(w.output, linear({{attention + "o_proj.weight", c.hidden_size}}, c.query_width()));
    QG_TRY(w.post_norm,
           find_vector(store, layer + "post_attention_layernorm.weight", c.hidden_size));
    QG_TRY(w.gate_up, linear({{mlp + "gate_proj.weight", c.intermediate_size},
                              {mlp + "up_proj.weight", c.intermediate_size}},
                             c.hidden_size));
    QG_TRY(w.down, linear({{mlp + "down_proj.weight", c.hidden_size}}, c.intermediate_size));
    weights.layers.push_back(std::move(w));
  }
  return weights;
}

}  // namespace qwen3guard::model
