// The kernels as differentiable operations.
#pragma once

#include <utility>

#include "training/kernels.h"
#include "training/torch_api.h"

namespace qwen3guard::training {

/// x + dropout(delta) and its RMSNorm in `dtype`. An undefined `delta` stands for zero (then the
/// first result is x itself). x: [rows, width] float; delta: [rows, width] float or bfloat16.
std::pair<Tensor, Tensor> add_norm(const Tensor& x, const Tensor& delta, const Tensor& weight,
                                   double epsilon, Dropout dropout, at::ScalarType dtype);

/// Causal grouped-query attention with per-head q/k norms and RoPE. qkv: [batch*length, qkv_width];
/// cosine, sine: [length, head_dim/2] float. Returns [batch*length, heads*head_dim] in qkv's type.
/// Padding on the right needs no mask: no real token looks at it.
Tensor attention(const Tensor& qkv, const Tensor& q_weight, const Tensor& k_weight,
                 const Tensor& cosine, const Tensor& sine, AttentionShape shape, double epsilon);

/// silu(gate) * up of [rows, 2*width] -> [rows, width].
Tensor swiglu(const Tensor& gate_up);

/// Dropout whose mask depends on the seed only.
Tensor dropout(const Tensor& x, Dropout dropout);

/// Mean next-token cross-entropy of hidden [n, d] against the tied embedding [vocabulary, d], in
/// chunks: the logits of a whole batch would not fit. Gradients are formed on the way.
Tensor chunked_language_model_loss(const Tensor& hidden, const Tensor& embedding,
                                   const Tensor& targets, at::ScalarType dtype);

}  // namespace qwen3guard::training
