// The element-wise passes of the trainer, fused. Plain arrays, no libtorch: one pass over memory
// where the library's own operations would take five to ten, which on one thread is most of a
// training step.
//
// Activations are either float or bfloat16 (`Half` pointers with a flag); arithmetic is always
// float. Every reduction has one fixed order, so equal inputs give equal bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qwen3guard::training {

/// An array of float or of bfloat16.
struct Array {
  void* data = nullptr;
  bool bf16 = false;
};
struct ConstArray {
  const void* data = nullptr;
  bool bf16 = false;
};

/// Drops elements with probability `rate` and scales the rest by 1/(1-rate). Which ones depends
/// only on (seed, element index): the backward pass recomputes the mask instead of storing it.
struct Dropout {
  float rate = 0;
  std::uint32_t seed = 0;
};

/// sum = x + dropout(delta); y = RMSNorm(sum) * weight. `delta.data` may be null: then sum = x and
/// `sum` is not written. `inverse` receives 1/rms of each row.
struct AddNormForward {
  std::size_t rows, width;
  const float* x;
  ConstArray delta;
  Dropout dropout;
  const float* weight;
  float epsilon;
  float* sum;
  Array y;
  float* inverse;
};
void add_norm_forward(const AddNormForward& a);

/// Gradients of add_norm_forward. `d_sum` may be null (nothing else reads the sum). `d_weight` is
/// added to; `d_delta.data` may be null.
struct AddNormBackward {
  std::size_t rows, width;
  const float* sum;
  const float* inverse;
  const float* weight;
  const float* d_sum;
  ConstArray d_y;
  Dropout dropout;
  float* d_x;
  Array d_delta;
  float* d_weight;
};
void add_norm_backward(const AddNormBackward& a);

/// Shapes of an attention block. Rows of `qkv` hold heads*head_dim queries, then keys, then values.
struct AttentionShape {
  std::size_t batch, length, heads, kv_heads, head_dim;
  std::size_t qkv_width() const { return (heads + 2 * kv_heads) * head_dim; }
};

/// Splits qkv into [batch, heads, length, head_dim] arrays: per-head RMSNorm of q and k, then RoPE,
/// q scaled by head_dim^-0.5, k and v repeated for their group of query heads. `cosine` and `sine`
/// are [length, head_dim/2].
struct SplitHeadsForward {
  AttentionShape shape;
  ConstArray qkv;
  const float* q_weight;
  const float* k_weight;
  const float* cosine;
  const float* sine;
  float epsilon;
  Array q, k, v;
};
void split_heads_forward(const SplitHeadsForward& a);

struct SplitHeadsBackward {
  AttentionShape shape;
  ConstArray qkv;
  const float* q_weight;
  const float* k_weight;
  const float* cosine;
  const float* sine;
  float epsilon;
  ConstArray d_q, d_k, d_v;
  Array d_qkv;
  float* d_q_weight;  // added to
  float* d_k_weight;  // added to
};
void split_heads_backward(const SplitHeadsBackward& a);

/// Row-wise softmax of [matrices, length, length] scores in place, entries right of the diagonal
/// zero.
void causal_softmax_forward(std::size_t matrices, std::size_t length, Array scores);
/// d_probability becomes d_score in place.
void causal_softmax_backward(std::size_t matrices, std::size_t length, ConstArray probability,
                             Array d_probability);

/// y = silu(gate) * up for rows of [gate | up].
void swiglu_forward(std::size_t rows, std::size_t width, ConstArray gate_up, Array y);
void swiglu_backward(std::size_t rows, std::size_t width, ConstArray gate_up, ConstArray d_y,
                     Array d_gate_up);

/// In place; the backward pass is the same call on the gradient.
void apply_dropout(std::size_t count, Dropout dropout, float* values);

/// One AdamW step over `count` weights (decoupled decay), with an exponential moving average of
/// them.
struct AdamStep {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  float correction1, correction2;  // 1 - beta^step
  float gradient_scale;            // of clipping
  float average_decay;
};
void adamw_step(std::size_t count, const AdamStep& step, const float* gradient, float* weight,
                float* first, float* second, float* average);

/// Sum of squares, in double.
double sum_of_squares(std::size_t count, const float* values);

}  // namespace qwen3guard::training
