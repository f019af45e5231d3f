// The tensors of a Qwen3 body by name and shape: the one table of what a checkpoint must hold.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytes/safetensors.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// Views into the mapped checkpoint; norm weights are widened to fp32 (they are small).
struct LayerWeights {
  std::vector<float> input_norm;  // [hidden]
  kernels::Matrix query;          // [heads * head_dim, hidden]
  kernels::Matrix key;            // [kv_heads * head_dim, hidden]
  kernels::Matrix value;          // [kv_heads * head_dim, hidden]
  std::vector<float> query_norm;  // [head_dim]
  std::vector<float> key_norm;    // [head_dim]
  kernels::Matrix output;         // [hidden, heads * head_dim]
  std::vector<float> post_norm;   // [hidden]
  kernels::Matrix gate;           // [intermediate, hidden]
  kernels::Matrix up;             // [intermediate, hidden]
  kernels::Matrix down;           // [hidden, intermediate]
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

/// REQUIRES: `store` outlives the result.
Result<Weights> find_weights(const bytes::TensorStore& store, const ModelConfig& config);

}  // namespace qwen3guard::model
