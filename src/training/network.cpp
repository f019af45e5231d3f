#include "training/network.h"

#include <cmath>

#include "base/check.h"
#include "training/fused_ops.h"

namespace qwen3guard::training {

Network::Network(Layout layout, std::vector<float> weights, Precision precision)
    : layout_(std::move(layout)),
      weights_(std::move(weights)),
      gradients_(layout_.total, 0.0f),
      compute_(precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat) {
  QG_CHECK(weights_.size() == layout_.total);
  rebind();
  const auto& shape = layout_.shape;
  const auto half = static_cast<std::int64_t>(shape.head_dim / 2);
  const auto positions = static_cast<std::int64_t>(shape.max_position_embeddings);
  cosine_ = at::empty({positions, half}, at::kFloat);
  sine_ = at::empty({positions, half}, at::kFloat);
  for (std::int64_t j = 0; j < half; ++j) {
    const auto frequency = static_cast<float>(std::pow(
        shape.rope_theta, -2.0 * static_cast<double>(j) / static_cast<double>(shape.head_dim)));
    for (std::int64_t t = 0; t < positions; ++t) {
      const float angle = static_cast<float>(t) * frequency;
      cosine_.data_ptr<float>()[t * half + j] = std::cos(angle);
      sine_.data_ptr<float>()[t * half + j] = std::sin(angle);
    }
  }
}

Network::Network(Network& master)
    : layout_(master.layout_),
      gradients_(layout_.total, 0.0f),
      compute_(master.compute_),
      cosine_(master.cosine_),
      sine_(master.sine_) {
  bind(master.weights_.data());
}

void Network::rebind() {
  QG_CHECK(weights_.size() == layout_.total);
  bind(weights_.data());
}

void Network::bind(float* weights) {
  for (const auto& piece : layout_.pieces) {
    Tensor leaf = at::from_blob(weights + piece.offset, piece.shape, at::kFloat);
    leaf.set_requires_grad(true);
    // A gradient that is already there is added to in place: all of them end up in the flat array.
    leaf.mutable_grad() = at::from_blob(gradients_.data() + piece.offset, piece.shape, at::kFloat);
    leaves_[piece.name] = std::move(leaf);
  }
}

Tensor Network::multiply(const Tensor& x, const std::string& name) const {
  return at::linear(x.to(compute_), leaf(name).to(compute_));
}

Tensor Network::hidden(const Tensor& ids, const DropoutRates& rates, std::uint32_t seed) const {
  const auto& shape = layout_.shape;
  const std::int64_t batch = ids.size(0), length = ids.size(1);
  QG_CHECK(length <= static_cast<std::int64_t>(shape.max_position_embeddings));
  const AttentionShape attention_shape{static_cast<std::size_t>(batch),
                                       static_cast<std::size_t>(length), shape.num_attention_heads,
                                       shape.num_key_value_heads, shape.head_dim};
  const Tensor cosine = cosine_.narrow(0, 0, length), sine = sine_.narrow(0, 0, length);
  const auto residual = static_cast<float>(rates.residual);
  std::uint32_t draw = seed * 64;

  Tensor x = at::embedding(leaf("embedding"), ids.reshape({-1}));
  x = dropout(x, {static_cast<float>(rates.embedding), draw++});
  Tensor delta;
  for (std::size_t l = 0; l < shape.num_hidden_layers; ++l) {
    const std::string own = "layer" + std::to_string(l) + ".";
    Tensor normed;
    std::tie(x, normed) =
        add_norm(x, delta, leaf(own + "norm1"), shape.rms_norm_eps, {residual, draw++}, compute_);
    const Tensor mixed =
        attention(multiply(normed, own + "qkv"), leaf(own + "q_norm"), leaf(own + "k_norm"), cosine,
                  sine, attention_shape, shape.rms_norm_eps);
    delta = multiply(mixed, own + "out");
    std::tie(x, normed) =
        add_norm(x, delta, leaf(own + "norm2"), shape.rms_norm_eps, {residual, draw++}, compute_);
    delta = multiply(swiglu(multiply(normed, own + "gate_up")), own + "down");
  }
  return add_norm(x, delta, leaf("norm"), shape.rms_norm_eps, {residual, draw}, at::kFloat).second;
}

HeadLogits Network::heads(bool query, const Tensor& rows, const DropoutRates& rates,
                          std::uint32_t seed) const {
  const std::string own = query ? "query." : "response.";
  const Tensor inner = at::linear(rows, leaf(own + "pre"));
  Tensor normed =
      add_norm(inner, Tensor(), leaf(own + "norm"), layout_.shape.rms_norm_eps, {}, at::kFloat)
          .second;
  normed = dropout(normed, {static_cast<float>(rates.head), seed * 64 + (query ? 62U : 63U)});
  return {at::linear(normed, leaf(own + "risk")), at::linear(normed, leaf(own + "category"))};
}

}  // namespace qwen3guard::training
