// The network: ids -> hidden states -> the four logit groups of a Stream guard.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "training/parameters.h"
#include "training/torch_api.h"

namespace qwen3guard::training {

struct DropoutRates {
  double embedding = 0;
  double residual = 0;
  double head = 0;
};

struct HeadLogits {
  Tensor risk;      // [n, 3]
  Tensor category;  // [n, 9] for queries, [n, 8] for responses
};

/// Views of the flat weights as leaves of the autograd graph, with gradients collected in one flat
/// array. Master weights are float; with kBFloat16 the inputs and weights of the trunk's matrices
/// are rounded to bfloat16 for the multiplications, everything else stays float.
class Network {
 public:
  Network(Layout layout, std::vector<float> weights, Precision precision);
  /// A replica: the weights of `master`, which must outlive it and keep them where they are while
  /// the replica works; gradients of its own.
  explicit Network(Network& master);
  // The leaves point into this object.
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const Layout& layout() const { return layout_; }
  std::vector<float>& weights() { return weights_; }
  const std::vector<float>& weights() const { return weights_; }
  std::vector<float>& gradients() { return gradients_; }
  /// Call after weights() was swapped for another array of the same size.
  void rebind();

  /// Final-normed hidden states [batch*length, hidden] of right-padded ids [batch, length]. `seed`
  /// decides what dropout drops.
  Tensor hidden(const Tensor& ids, const DropoutRates& rates, std::uint32_t seed) const;
  /// Heads on rows of hidden states.
  HeadLogits heads(bool query, const Tensor& rows, const DropoutRates& rates,
                   std::uint32_t seed) const;
  const Tensor& embedding() const { return leaves_.at("embedding"); }
  at::ScalarType compute_type() const { return compute_; }

 private:
  void bind(float* weights);
  const Tensor& leaf(const std::string& name) const { return leaves_.at(name); }
  Tensor multiply(const Tensor& x, const std::string& name) const;

  Layout layout_;
  std::vector<float> weights_;
  std::vector<float> gradients_;
  at::ScalarType compute_;
  std::map<std::string, Tensor> leaves_;
  Tensor cosine_, sine_;
};

}  // namespace qwen3guard::training
