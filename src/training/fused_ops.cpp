#include "training/fused_ops.h"

namespace qwen3guard::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

std::size_t size_at(const Tensor& t, std::int64_t dim) {
  return static_cast<std::size_t>(t.size(dim));
}
Array array(const Tensor& t) { return {t.data_ptr(), t.scalar_type() == at::kBFloat16}; }
ConstArray const_array(const Tensor& t) {
  return t.defined() ? ConstArray{t.data_ptr(), t.scalar_type() == at::kBFloat16} : ConstArray{};
}
float* floats(const Tensor& t) { return t.data_ptr<float>(); }

Dropout saved_dropout(AutogradContext* ctx) {
  return {static_cast<float>(ctx->saved_data["rate"].toDouble()),
          static_cast<std::uint32_t>(ctx->saved_data["seed"].toInt())};
}
void save_dropout(AutogradContext* ctx, double rate, std::int64_t seed) {
  ctx->saved_data["rate"] = rate;
  ctx->saved_data["seed"] = seed;
}

struct AddNorm : public Function<AddNorm> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& delta,
                               const Tensor& weight, double epsilon, double rate, std::int64_t seed,
                               bool bf16) {
    const Tensor sum = at::empty_like(x);
    const Tensor y = at::empty(x.sizes(), x.options().dtype(bf16 ? at::kBFloat16 : at::kFloat));
    const Tensor inverse = at::empty({x.size(0)}, x.options());
    add_norm_forward({size_at(x, 0),
                      size_at(x, 1),
                      floats(x),
                      const_array(delta),
                      {static_cast<float>(rate), static_cast<std::uint32_t>(seed)},
                      floats(weight),
                      static_cast<float>(epsilon),
                      floats(sum),
                      array(y),
                      floats(inverse)});
    ctx->save_for_backward({sum, inverse, weight});
    save_dropout(ctx, rate, seed);
    ctx->saved_data["delta_bf16"] = delta.scalar_type() == at::kBFloat16;
    return {sum, y};
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &sum = saved[0], &inverse = saved[1], &weight = saved[2];
    const Tensor d_sum = gradients[0].defined() ? gradients[0].contiguous() : Tensor();
    const Tensor d_y = gradients[1].contiguous();
    const Tensor d_x = at::empty_like(sum);
    const bool bf16 = ctx->saved_data["delta_bf16"].toBool();
    const Tensor d_delta =
        at::empty(sum.sizes(), sum.options().dtype(bf16 ? at::kBFloat16 : at::kFloat));
    const Tensor d_weight = at::zeros_like(weight);
    add_norm_backward({size_at(sum, 0), size_at(sum, 1), floats(sum), floats(inverse),
                       floats(weight), d_sum.defined() ? floats(d_sum) : nullptr, const_array(d_y),
                       saved_dropout(ctx), floats(d_x), array(d_delta), floats(d_weight)});
    return {d_x, d_delta, d_weight, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

struct Norm : public Function<Norm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, double epsilon,
                        bool bf16) {
    const Tensor y = at::empty(x.sizes(), x.options().dtype(bf16 ? at::kBFloat16 : at::kFloat));
    const Tensor inverse = at::empty({x.size(0)}, x.options());
    add_norm_forward({size_at(x, 0),
                      size_at(x, 1),
                      floats(x),
                      {},
                      {},
                      floats(weight),
                      static_cast<float>(epsilon),
                      nullptr,
                      array(y),
                      floats(inverse)});
    ctx->save_for_backward({x, inverse, weight});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &inverse = saved[1], &weight = saved[2];
    const Tensor d_y = gradients[0].contiguous();
    const Tensor d_x = at::empty_like(x);
    const Tensor d_weight = at::zeros_like(weight);
    add_norm_backward({size_at(x, 0),
                       size_at(x, 1),
                       floats(x),
                       floats(inverse),
                       floats(weight),
                       nullptr,
                       const_array(d_y),
                       {},
                       floats(d_x),
                       {},
                       floats(d_weight)});
    return {d_x, d_weight, Tensor(), Tensor()};
  }
};

AttentionShape saved_shape(AutogradContext* ctx) {
  const auto v = ctx->saved_data["shape"].toIntVector();
  return {static_cast<std::size_t>(v[0]), static_cast<std::size_t>(v[1]),
          static_cast<std::size_t>(v[2]), static_cast<std::size_t>(v[3]),
          static_cast<std::size_t>(v[4])};
}

struct Attention : public Function<Attention> {
  static Tensor forward(AutogradContext* ctx, const Tensor& qkv, const Tensor& q_weight,
                        const Tensor& k_weight, const Tensor& cosine, const Tensor& sine,
                        std::vector<std::int64_t> dims, double epsilon) {
    ctx->saved_data["shape"] = dims;
    ctx->saved_data["epsilon"] = epsilon;
    const AttentionShape shape = saved_shape(ctx);
    const std::int64_t batch = dims[0], length = dims[1], heads = dims[2], dim = dims[4];
    const auto parts = at::empty({3, batch * heads, length, dim}, qkv.options());
    const Tensor q = parts[0], k = parts[1], v = parts[2];
    split_heads_forward({shape, const_array(qkv), floats(q_weight), floats(k_weight),
                         floats(cosine), floats(sine), static_cast<float>(epsilon), array(q),
                         array(k), array(v)});
    const Tensor probability = at::bmm(q, k.transpose(1, 2)).contiguous();
    causal_softmax_forward(static_cast<std::size_t>(batch * heads), shape.length,
                           array(probability));
    const Tensor out = at::bmm(probability, v);
    ctx->save_for_backward({qkv, q_weight, k_weight, cosine, sine, parts, probability});
    return out.view({batch, heads, length, dim})
        .permute({0, 2, 1, 3})
        .reshape({batch * length, heads * dim});
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &qkv = saved[0], &q_weight = saved[1], &k_weight = saved[2], &cosine = saved[3],
                 &sine = saved[4];
    const Tensor q = saved[5][0], k = saved[5][1], v = saved[5][2], probability = saved[6];
    const AttentionShape shape = saved_shape(ctx);
    const auto dims = ctx->saved_data["shape"].toIntVector();
    const std::int64_t batch = dims[0], length = dims[1], heads = dims[2], dim = dims[4];
    const Tensor d_out = gradients[0]
                             .view({batch, length, heads, dim})
                             .permute({0, 2, 1, 3})
                             .reshape({batch * heads, length, dim});
    const Tensor d_v = at::bmm(probability.transpose(1, 2), d_out).contiguous();
    const Tensor d_score = at::bmm(d_out, v.transpose(1, 2)).contiguous();
    causal_softmax_backward(static_cast<std::size_t>(batch * heads), shape.length,
                            const_array(probability), array(d_score));
    const Tensor d_q = at::bmm(d_score, k).contiguous();
    const Tensor d_k = at::bmm(d_score.transpose(1, 2), q).contiguous();
    const Tensor d_qkv = at::empty_like(qkv);
    const Tensor d_q_weight = at::zeros_like(q_weight), d_k_weight = at::zeros_like(k_weight);
    split_heads_backward(
        {shape, const_array(qkv), floats(q_weight), floats(k_weight), floats(cosine), floats(sine),
         static_cast<float>(ctx->saved_data["epsilon"].toDouble()), const_array(d_q),
         const_array(d_k), const_array(d_v), array(d_qkv), floats(d_q_weight), floats(d_k_weight)});
    return {d_qkv, d_q_weight, d_k_weight, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

struct SwiGlu : public Function<SwiGlu> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate_up) {
    const Tensor y = at::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options());
    swiglu_forward(size_at(y, 0), size_at(y, 1), const_array(gate_up), array(y));
    ctx->save_for_backward({gate_up});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const Tensor d_y = gradients[0].contiguous();
    const Tensor d = at::empty_like(saved[0]);
    swiglu_backward(size_at(d_y, 0), size_at(d_y, 1), const_array(saved[0]), const_array(d_y),
                    array(d));
    return {d};
  }
};

struct SeededDropout : public Function<SeededDropout> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, double rate, std::int64_t seed) {
    save_dropout(ctx, rate, seed);
    Tensor y = x.clone();
    apply_dropout(static_cast<std::size_t>(y.numel()), saved_dropout(ctx), floats(y));
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    Tensor d = gradients[0].contiguous().clone();
    apply_dropout(static_cast<std::size_t>(d.numel()), saved_dropout(ctx), floats(d));
    return {d, Tensor(), Tensor()};
  }
};

struct ChunkedLanguageModelLoss : public Function<ChunkedLanguageModelLoss> {
  static Tensor forward(AutogradContext* ctx, const Tensor& hidden, const Tensor& embedding,
                        const Tensor& targets, bool bf16) {
    constexpr std::int64_t kChunk = 512;
    const auto dtype = bf16 ? at::kBFloat16 : at::kFloat;
    const Tensor h = hidden.to(dtype), e = embedding.to(dtype);
    const std::int64_t n = hidden.size(0);
    const Tensor d_hidden = at::empty_like(hidden);
    const Tensor d_embedding = at::zeros_like(embedding);
    double sum = 0;
    for (std::int64_t at_row = 0; at_row < n; at_row += kChunk) {
      const std::int64_t count = std::min(kChunk, n - at_row);
      const Tensor rows = h.narrow(0, at_row, count);
      const Tensor target = targets.narrow(0, at_row, count).unsqueeze(1);
      const Tensor log_p = at::log_softmax(at::linear(rows, e).to(at::kFloat), 1);
      sum -= log_p.gather(1, target).sum().item<double>();
      Tensor d_logits = log_p.exp_();
      d_logits.scatter_add_(1, target, at::full_like(target, -1, d_logits.options()));
      d_logits = d_logits.mul_(1.0 / static_cast<double>(n)).to(dtype);
      d_hidden.narrow(0, at_row, count).copy_(at::mm(d_logits, e));
      d_embedding.add_(at::mm(d_logits.t(), rows));
    }
    ctx->save_for_backward({d_hidden, d_embedding});
    return at::full({}, sum / static_cast<double>(n), hidden.options());
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    return {saved[0] * gradients[0], saved[1] * gradients[0], Tensor(), Tensor()};
  }
};

}  // namespace

std::pair<Tensor, Tensor> add_norm(const Tensor& x, const Tensor& delta, const Tensor& weight,
                                   double epsilon, Dropout dropout, at::ScalarType dtype) {
  const bool bf16 = dtype == at::kBFloat16;
  if (!delta.defined()) return {x, Norm::apply(x.contiguous(), weight, epsilon, bf16)};
  const auto both = AddNorm::apply(x.contiguous(), delta.contiguous(), weight, epsilon,
                                   static_cast<double>(dropout.rate),
                                   static_cast<std::int64_t>(dropout.seed), bf16);
  return {both[0], both[1]};
}

Tensor attention(const Tensor& qkv, const Tensor& q_weight, const Tensor& k_weight,
                 const Tensor& cosine, const Tensor& sine, AttentionShape shape, double epsilon) {
  const std::vector<std::int64_t> dims = {
      static_cast<std::int64_t>(shape.batch), static_cast<std::int64_t>(shape.length),
      static_cast<std::int64_t>(shape.heads), static_cast<std::int64_t>(shape.kv_heads),
      static_cast<std::int64_t>(shape.head_dim)};
  return Attention::apply(qkv.contiguous(), q_weight, k_weight, cosine, sine, dims, epsilon);
}

Tensor swiglu(const Tensor& gate_up) { return SwiGlu::apply(gate_up.contiguous()); }

Tensor dropout(const Tensor& x, Dropout dropout) {
  if (dropout.rate <= 0) return x;
  return SeededDropout::apply(x.contiguous(), static_cast<double>(dropout.rate),
                              static_cast<std::int64_t>(dropout.seed));
}

Tensor chunked_language_model_loss(const Tensor& hidden, const Tensor& embedding,
                                   const Tensor& targets, at::ScalarType dtype) {
  return ChunkedLanguageModelLoss::apply(hidden.contiguous(), embedding, targets,
                                         dtype == at::kBFloat16);
}

}  // namespace qwen3guard::training
