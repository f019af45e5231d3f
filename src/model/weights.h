// The tensors of a Qwen3 body by name and shape: the one table of what a checkpoint must hold.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytes/safetensors.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/linear.h"
#include "qwen3guard/result.h"
#include "qwen3guard/weight_format.h"

namespace qwen3guard::model {

/// Norm weights are widened to fp32 (they are small).
struct LayerWeights {
  std::vector<float> input_norm;  // [hidden]
  Linear qkv;                     // [(heads + 2 * kv_heads) * head_dim, hidden]: query, key, value
  std::vector<float> query_norm;  // [head_dim]
  std::vector<float> key_norm;    // [head_dim]
  Linear output;                  // [hidden, heads * head_dim]
  std::vector<float> post_norm;   // [hidden]
  Linear gate_up;                 // [2 * intermediate, hidden]: gate, up
  Linear down;                    // [hidden, intermediate]
};

struct Weights {
  kernels::Matrix embeddings;  // [vocabulary, hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  kernels::Matrix lm_head;        // [vocabulary, hidden]; a Stream model has none (no data)
};

/// A matrix of the store, its shape checked against [rows, columns] (0 rows: any). Errors:
/// kNotFound, kCorruptFile (shape), kUnsupported (dtype other than BF16, F16, F32).
Result<kernels::Matrix> find_matrix(const bytes::TensorStore& store, const std::string& name,
                                    std::size_t rows, std::size_t columns);
/// A vector of the store as fp32.
Result<std::vector<float>> find_vector(const bytes::TensorStore& store, const std::string& name,
                                       std::size_t size);

/// REQUIRES: `store` outlives the result. Errors: those of find_matrix and Linear::quantize.
Result<Weights> find_weights(const bytes::TensorStore& store, const ModelConfig& config,
                             WeightFormat format);

}  // namespace qwen3guard::model
