#include "training/losses.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "training/fused_ops.h"

namespace qwen3guard::training {
namespace {

struct JudgedTensors {
  Tensor position, target, category, weight;
};

JudgedTensors to_tensors(const std::vector<Batch::Judged>& judged) {
  const auto n = static_cast<std::int64_t>(judged.size());
  const auto classes = static_cast<std::int64_t>(kRiskCount);
  JudgedTensors t{at::empty({n}, at::kLong), at::empty({n, classes}, at::kFloat),
                  at::empty({n}, at::kLong), at::empty({n}, at::kFloat)};
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& one = judged[static_cast<std::size_t>(i)];
    t.position.data_ptr<std::int64_t>()[i] = one.position;
    std::ranges::copy(one.target, t.target.data_ptr<float>() + i * classes);
    t.category.data_ptr<std::int64_t>()[i] = one.category;
    t.weight.data_ptr<float>()[i] = one.weight;
  }
  return t;
}

/// Moves to Controversial what the network is unsure of, and only that. With u and s the logits of
/// Unsafe and Safe and q the softmax over s, u and (s + u) / 2 + margin, the share q of the last
/// one becomes Controversial and the rest keeps its odds: at the fixed point the network's own p is
/// q, so that Controversial is its answer exactly where |u - s| / 2 < margin, whatever it believes.
void teach_doubt(const Tensor& logits, double margin, JudgedTensors& judged) {
  const at::NoGradGuard no_gradient;
  const auto safe = static_cast<std::int64_t>(Risk::kSafe);
  const auto unsafe = static_cast<std::int64_t>(Risk::kUnsafe);
  const Tensor half = (logits.select(1, unsafe) - logits.select(1, safe)) / 2;
  const Tensor q = std::exp(margin) / (std::exp(margin) + half.exp() + (-half).exp());
  const Tensor not_safe = 1.0 - judged.target.select(1, safe);
  judged.target = at::stack({(1.0 - not_safe) * (1.0 - q), not_safe * (1.0 - q), q}, 1);
}

/// Mixes into the targets what `start` believes of the same places: sigmoid(u - s), u and s being
/// its logits of Unsafe and Safe, which is the belief that teach_doubt leaves in them. Class
/// weights are in it already, from its own training.
void keep_beliefs(const Network& start, const Tensor& hidden, double share, JudgedTensors& judged) {
  const at::NoGradGuard no_gradient;
  const Tensor logits = start.heads(true, hidden.index_select(0, judged.position), {}, 0).risk;
  const Tensor not_safe = at::sigmoid(logits.select(1, static_cast<std::int64_t>(Risk::kUnsafe)) -
                                      logits.select(1, static_cast<std::int64_t>(Risk::kSafe)));
  const Tensor belief = at::stack({1.0 - not_safe, not_safe, at::zeros_like(not_safe)}, 1);
  judged.target = judged.target * (1.0 - share) + belief * share;
}

/// Sum of weight * cross-entropy to the targets, with label smoothing over the classes.
Tensor risk_loss(const Tensor& logits, const JudgedTensors& judged, double smoothing) {
  const Tensor log_p = at::log_softmax(logits, 1);
  Tensor loss = (log_p * judged.target).sum(1) * -(1.0 - smoothing);
  if (smoothing > 0) loss = loss - log_p.mean(1) * smoothing;
  return (loss * judged.weight).sum();
}

Tensor category_loss(const Tensor& logits, const JudgedTensors& judged) {
  // Where no category counts the weight is zero; index 0 only keeps gather in range.
  const Tensor counts = judged.category.ge(0).to(at::kFloat) * (1.0 - judged.target.select(1, 0));
  const Tensor target = judged.category.clamp_min(0).unsqueeze(1);
  const Tensor log_p = at::log_softmax(logits, 1).gather(1, target).squeeze(1);
  return -(log_p * judged.weight * counts).sum();
}

/// Binary cross-entropy on max_i min(p(i-1), p(i)), p = P(not Safe), for each response.
Tensor pooled_loss(const Tensor& risk_logits, const Batch& batch, double smoothing) {
  const auto rows = static_cast<std::int64_t>(batch.response_flagged.size());
  std::vector<std::int64_t> count(batch.response_flagged.size(), 0);
  for (const auto& judged : batch.responses) ++count[static_cast<std::size_t>(judged.sequence)];
  const std::int64_t longest = std::max<std::int64_t>(2, *std::ranges::max_element(count));
  // Each row of `place` points at the tokens of one response; the padding points at an extra zero.
  const auto n = static_cast<std::int64_t>(batch.responses.size());
  Tensor place = at::full({rows, longest}, n, at::kLong);
  std::int64_t token = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < count[static_cast<std::size_t>(r)]; ++i) {
      place.data_ptr<std::int64_t>()[r * longest + i] = token++;
    }
    // A response of a single token is judged by it alone.
    if (count[static_cast<std::size_t>(r)] == 1)
      place.data_ptr<std::int64_t>()[r * longest + 1] = token - 1;
  }
  const Tensor not_safe = 1.0 - at::softmax(risk_logits, 1).select(1, 0);
  const Tensor padded = at::cat({not_safe, at::zeros({1}, not_safe.options())});
  const Tensor p = padded.index_select(0, place.reshape({-1})).reshape({rows, longest});
  const Tensor pairs = at::minimum(p.narrow(1, 1, longest - 1), p.narrow(1, 0, longest - 1));
  const Tensor pooled = std::get<0>(pairs.max(1)).clamp(1e-4, 1.0 - 1e-4);
  const auto to_tensor = [&](const std::vector<float>& values) {
    Tensor result = at::empty({rows}, at::kFloat);
    std::ranges::copy(values, result.data_ptr<float>());
    return result;
  };
  const Tensor target = to_tensor(batch.response_flagged) * (1.0 - smoothing) + smoothing / 2;
  const Tensor loss = target * pooled.log() + (1.0 - target) * (1.0 - pooled).log();
  return -(loss * to_tensor(batch.response_weights)).sum();
}

Tensor language_model_loss(const Network& network, const Tensor& hidden, const Batch& batch) {
  std::vector<std::int64_t> from, to;
  for (std::size_t r = 0; r < batch.rows; ++r) {
    const std::size_t start = r * batch.length;
    for (std::size_t i = 0; i + 1 < static_cast<std::size_t>(batch.lengths[r]); ++i) {
      from.push_back(static_cast<std::int64_t>(start + i));
      to.push_back(batch.ids[start + i + 1]);
    }
  }
  const auto n = static_cast<std::int64_t>(from.size());
  const Tensor rows = at::from_blob(from.data(), {n}, at::kLong);
  const Tensor targets = at::from_blob(to.data(), {n}, at::kLong).clone();
  return chunked_language_model_loss(hidden.index_select(0, rows.clone()), network.embedding(),
                                     targets, network.compute_type());
}

}  // namespace

Tensor batch_ids(const Batch& batch) {
  // The tensor never writes: torch has no view of constant memory.
  auto* data = const_cast<std::int64_t*>(batch.ids.data());
  return at::from_blob(
      data, {static_cast<std::int64_t>(batch.rows), static_cast<std::int64_t>(batch.length)},
      at::kLong);
}

Tensor batch_loss(const Network& network, const Tensor& hidden, const Batch& batch,
                  const LossOptions& options, const DropoutRates& rates, std::uint32_t seed,
                  const Network* start) {
  Tensor loss = at::zeros({}, at::kFloat);
  Tensor start_hidden;
  if (options.keep > 0 && !batch.queries.empty()) {
    QG_CHECK(start != nullptr);
    const at::NoGradGuard no_gradient;
    start_hidden = start->hidden(batch_ids(batch), {}, 0);
  }
  // Whole prompts and their beginnings are read by the same head and taught the same doubt.
  const auto read_prompts = [&](JudgedTensors& judged) {
    HeadLogits logits = network.heads(true, hidden.index_select(0, judged.position), rates, seed);
    if (options.keep > 0) keep_beliefs(*start, start_hidden, options.keep, judged);
    if (options.controversial_margin > 0)
      teach_doubt(logits.risk, options.controversial_margin, judged);
    return logits;
  };
  if (!batch.queries.empty()) {
    JudgedTensors judged = to_tensors(batch.queries);
    const HeadLogits logits = read_prompts(judged);
    loss = loss + risk_loss(logits.risk, judged, options.label_smoothing) +
           category_loss(logits.category, judged) * options.category_weight;
  }
  if (!batch.prefixes.empty()) {
    JudgedTensors judged = to_tensors(batch.prefixes);
    const HeadLogits logits = read_prompts(judged);
    loss = loss + risk_loss(logits.risk, judged, options.label_smoothing) * options.prefix;
  }
  if (!batch.responses.empty()) {
    const JudgedTensors judged = to_tensors(batch.responses);
    const HeadLogits logits =
        network.heads(false, hidden.index_select(0, judged.position), rates, seed);
    const Tensor risk = risk_loss(logits.risk, judged, options.label_smoothing);
    loss = loss + risk * (1.0 - options.pooled) +
           category_loss(logits.category, judged) * options.category_weight;
    if (options.pooled > 0)
      loss = loss + pooled_loss(logits.risk, batch, options.label_smoothing) * options.pooled;
  }
  loss = loss / static_cast<double>(
                    std::max<std::size_t>(1, batch.queries.size() + batch.response_flagged.size()));
  if (options.language_model > 0)
    loss = loss + language_model_loss(network, hidden, batch) * options.language_model;
  return loss;
}

}  // namespace qwen3guard::training
