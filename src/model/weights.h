// The tensors of a Qwen3 body by name and shape: the one table of what a checkpoint must hold.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/checkpoint.h"
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
  StoredMatrix embeddings;  // [vocabulary, hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  StoredMatrix lm_head;           // [vocabulary, hidden]; empty in a Stream model
  Linear all_logits;              // the same, to multiply with; empty where not asked for
  bool packed = false;            // some projection is quantized
};

/// `all_logits`: whether a causal LM will be asked for them. REQUIRES: `checkpoint` outlives the
/// result. Errors: those of Checkpoint and Linear::create.
Result<Weights> find_weights(const Checkpoint& checkpoint, WeightFormat format, bool all_logits);

}  // namespace qwen3guard::model
