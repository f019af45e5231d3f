// The fused operations against finite differences and against the same network written with
// libtorch's own.
#include <cmath>

#include "support.h"
#include "training/fused_ops.h"
#include "training/losses.h"
#include "training/network.h"

namespace qwen3guard::training {
namespace {

Batch tiny_batch(const std::vector<Example>& examples, const LossOptions& options) {
  std::vector<View> views;
  for (const auto& e : examples) views.push_back(view_of(e));
  return make_batch(views, 0, options);
}

/// Qwen3 as in the reference code, from the flat weights.
Tensor reference_hidden(const Network& network, const Tensor& ids) {
  const auto& shape = network.layout().shape;
  const auto weight = [&](const std::string& name) {
    const Piece& piece = network.layout().find(name);
    auto* data = const_cast<float*>(network.weights().data()) + piece.offset;
    return at::from_blob(data, piece.shape, at::kFloat);
  };
  const auto norm = [&](const Tensor& x, const Tensor& w) {
    return x * at::rsqrt(x.pow(2).mean(-1, true) + shape.rms_norm_eps) * w;
  };
  const std::int64_t b = ids.size(0), t = ids.size(1);
  const auto heads = static_cast<std::int64_t>(shape.num_attention_heads);
  const auto kv = static_cast<std::int64_t>(shape.num_key_value_heads);
  const auto dim = static_cast<std::int64_t>(shape.head_dim);
  const Tensor frequency =
      at::pow(at::full({}, shape.rope_theta),
              -2.0 * at::arange(dim / 2).to(at::kFloat) / static_cast<double>(dim));
  const Tensor angle = at::outer(at::arange(t).to(at::kFloat), frequency);
  const Tensor cosine = at::cat({angle, angle}, -1).cos(), sine = at::cat({angle, angle}, -1).sin();
  const auto rope = [&](const Tensor& x) {
    const auto halves = x.chunk(2, -1);
    return x * cosine + at::cat({-halves[1], halves[0]}, -1) * sine;
  };
  Tensor x = at::embedding(weight("embedding"), ids);
  for (std::size_t l = 0; l < shape.num_hidden_layers; ++l) {
    const std::string own = "layer" + std::to_string(l) + ".";
    const Tensor qkv = at::linear(norm(x, weight(own + "norm1")), weight(own + "qkv"));
    const Tensor q = rope(
        norm(qkv.narrow(-1, 0, heads * dim).reshape({b, t, heads, dim}), weight(own + "q_norm"))
            .transpose(1, 2));
    Tensor k = rope(
        norm(qkv.narrow(-1, heads * dim, kv * dim).reshape({b, t, kv, dim}), weight(own + "k_norm"))
            .transpose(1, 2));
    Tensor v =
        qkv.narrow(-1, (heads + kv) * dim, kv * dim).reshape({b, t, kv, dim}).transpose(1, 2);
    k = k.repeat_interleave(heads / kv, 1);
    v = v.repeat_interleave(heads / kv, 1);
    Tensor scores = at::matmul(q, k.transpose(-1, -2)) / std::sqrt(static_cast<double>(dim));
    scores = scores.masked_fill(at::ones({t, t}).triu(1).to(at::kBool), -INFINITY);
    const Tensor mixed =
        at::matmul(at::softmax(scores, -1), v).transpose(1, 2).reshape({b, t, heads * dim});
    x = x + at::linear(mixed, weight(own + "out"));
    const auto gate_up =
        at::linear(norm(x, weight(own + "norm2")), weight(own + "gate_up")).chunk(2, -1);
    x = x + at::linear(at::silu(gate_up[0]) * gate_up[1], weight(own + "down"));
  }
  return norm(x, weight("norm")).reshape({b * t, -1});
}

class NetworkTest : public testing::Test {
 protected:
  NetworkTest() {
    examples_ = {
        make_example(*tokenizer_, {{Role::kUser, "bad words"}}, Risk::kUnsafe, Category::kPii),
        make_example(*tokenizer_, {{Role::kUser, "q"}, {Role::kAssistant, "fine, then bad"}},
                     Risk::kUnsafe, Category::kViolent),
        make_example(*tokenizer_, {{Role::kUser, "q"}, {Role::kAssistant, "ok"}}, Risk::kSafe)};
  }
  std::unique_ptr<Network> network(Precision precision = Precision::kFloat32) const {
    const Layout layout = make_layout(tiny_recipe().model, tokenizer_->vocabulary_size());
    auto weights = initial_weights(layout, 11);
    // Norm weights of one would hide a forgotten multiplication.
    Random random(2);
    for (float& w : weights) w += static_cast<float>(0.1 * random.normal());
    return std::make_unique<Network>(layout, std::move(weights), precision);
  }
  std::shared_ptr<const tokens::Tokenizer> tokenizer_ = tiny_tokenizer();
  std::vector<Example> examples_;
};

TEST_F(NetworkTest, EqualsTheReferenceArithmetic) {
  const at::NoGradGuard no_gradient;
  const auto net = network();
  const Batch batch = tiny_batch(examples_, {});
  const Tensor mine = net->hidden(batch_ids(batch), {}, 0);
  const Tensor theirs = reference_hidden(*net, batch_ids(batch));
  EXPECT_LT((mine - theirs).abs().max().item<float>(), 2e-5f);
}

TEST_F(NetworkTest, Bfloat16StaysClose) {
  const at::NoGradGuard no_gradient;
  const auto exact = network(), rounded = network(Precision::kBFloat16);
  const Batch batch = tiny_batch(examples_, {});
  const Tensor a = exact->hidden(batch_ids(batch), {}, 0),
               b = rounded->hidden(batch_ids(batch), {}, 0);
  EXPECT_LT((a - b).abs().mean().item<float>(), 0.02f * a.abs().mean().item<float>());
}

TEST_F(NetworkTest, PaddingChangesNothing) {
  const at::NoGradGuard no_gradient;
  const auto net = network();
  const Batch together = tiny_batch(examples_, {}), alone = tiny_batch({examples_[2]}, {});
  const auto n = static_cast<std::int64_t>(examples_[2].sequence.ids.size());
  const Tensor a = net->hidden(batch_ids(together), {}, 0)
                       .narrow(0, static_cast<std::int64_t>(2 * together.length), n);
  const Tensor b = net->hidden(batch_ids(alone), {}, 0).narrow(0, 0, n);
  EXPECT_LT((a - b).abs().max().item<float>(), 1e-5f);
}

TEST_F(NetworkTest, GradientsAreFiniteDifferences) {
  LossOptions options;
  options.pooled = 0.5;
  options.category_weight = 0.5;
  options.label_smoothing = 0.1;
  options.language_model = 0.3;
  const DropoutRates rates{0.1, 0.1, 0.1};
  const Batch batch = tiny_batch(examples_, options);
  const auto net = network();
  const auto loss = [&] {
    return batch_loss(*net, net->hidden(batch_ids(batch), rates, 9), batch, options, rates, 9);
  };
  loss().backward();
  const std::vector<float> gradients = net->gradients();
  const at::NoGradGuard no_gradient;
  Random random(1);
  std::size_t checked = 0;
  for (const auto& piece : net->layout().pieces) {
    for (int k = 0; k < 6; ++k) {
      const std::size_t i = piece.offset + random.below(piece.size());
      if (piece.name == "embedding" && gradients[i] == 0) continue;
      float& w = net->weights()[i];
      const float before = w;
      constexpr float kStep = 4e-3f;
      w = before + kStep;
      const double up = loss().item<double>();
      w = before - kStep;
      const double down = loss().item<double>();
      w = before;
      const double numeric = (up - down) / (2.0 * static_cast<double>(kStep));
      EXPECT_NEAR(numeric, static_cast<double>(gradients[i]), 2e-3 + 0.03 * std::abs(numeric))
          << piece.name;
      ++checked;
    }
  }
  EXPECT_GT(checked, 60U);
}

TEST(FusedOps, DropoutKeepsTheMeanAndItsMask) {
  const Tensor x = at::ones({100, 100});
  const Tensor y = dropout(x, {0.25f, 7});
  EXPECT_NEAR(y.mean().item<float>(), 1.0f, 0.03f);
  EXPECT_TRUE(at::equal(y, dropout(x, {0.25f, 7})));
  EXPECT_FALSE(at::equal(y, dropout(x, {0.25f, 8})));
}

}  // namespace
}  // namespace qwen3guard::training
