#include "heads/stream_heads.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/try.h"

namespace qwen3guard::heads {
namespace {

// The norm inside the heads has its own epsilon, whatever config.json says of the body's.
constexpr float kHeadEpsilon = 1e-6f;

Status check_risk_names(const std::vector<std::string>& names, const std::string& key) {
  static constexpr std::array<std::string_view, kRiskCount> kOfficial = {"Safe", "Unsafe",
                                                                         "Controversial"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != kOfficial[i]) {
      return Error{
          ErrorCode::kUnsupported,
          "config.json: \"" + key + "\" names class " + std::to_string(i) + " \"" + names[i] +
              "\"; the official order is 0 Safe, 1 Unsafe, 2 Controversial, and another order "
              "would turn verdicts around"};
    }
  }
  return {};
}

}  // namespace

StreamHeads::StreamHeads(std::shared_ptr<const model::Model> model, Pair query, Pair response)
    : model_(std::move(model)), query_(std::move(query)), response_(std::move(response)) {}

Result<StreamHeads::Pair> StreamHeads::load_pair(const model::Model& model,
                                                 const std::string& prefix,
                                                 std::size_t categories) {
  const model::Checkpoint& checkpoint = model.checkpoint();
  const std::size_t hidden = model.config().hidden_size;
  Pair pair;
  QG_TRY(pair.pre, checkpoint.find_matrix(prefix + "risk_level_category_pre.weight",
                                          model.config().guard->inner_size, hidden));
  const std::size_t inner = pair.pre.rows;
  QG_TRY(pair.norm, checkpoint.find_vector(prefix + "risk_level_category_layernorm.weight", inner));
  QG_TRY(pair.risk, checkpoint.find_matrix(prefix + "risk_level_head.weight", kRiskCount, inner));
  QG_TRY(pair.category, checkpoint.find_matrix(prefix + "category_head.weight", categories, inner));
  return pair;
}

Result<StreamHeads> StreamHeads::load(std::shared_ptr<const model::Model> model) {
  if (!model->config().guard) {
    return Error{ErrorCode::kUnsupported,
                 "this checkpoint is a causal LM (Gen) and has no Stream heads; use mode gen"};
  }
  const model::GuardHeadsConfig& names = *model->config().guard;
  QG_CHECK_OK(check_risk_names(names.query_risk_names, "query_risk_level_map"));
  QG_CHECK_OK(check_risk_names(names.response_risk_names, "response_risk_level_map"));
  QG_TRY(Pair query, load_pair(*model, "query_", kQueryCategoryCount));
  QG_TRY(Pair response, load_pair(*model, "", kResponseCategoryCount));
  return StreamHeads(std::move(model), std::move(query), std::move(response));
}

Result<HeadLogits> StreamHeads::apply(const Pair& pair, std::span<const float> hidden) const {
  const kernels::Kernels& k = kernels::active_kernels();
  std::vector<float> inner(pair.pre.rows);
  k.matmul(pair.pre, 0, pair.pre.rows, hidden.data(), 1, inner.data(), inner.size());
  k.rms_norm(inner.data(), pair.norm.data(), inner.size(), kHeadEpsilon, inner.data());
  HeadLogits logits;
  k.matmul(pair.risk, 0, pair.risk.rows, inner.data(), 1, logits.risk.data(), kRiskCount);
  k.matmul(pair.category, 0, pair.category.rows, inner.data(), 1, logits.category.data(),
           kQueryCategoryCount);
  const auto finite = [](float v) { return std::isfinite(v); };
  if (!std::all_of(logits.risk.begin(), logits.risk.end(), finite) ||
      !std::all_of(logits.category.begin(), logits.category.end(), finite)) {
    return Error{ErrorCode::kNonFinite,
                 "a Stream head produced NaN or infinity: its weights are broken; check them with "
                 "`qwen3guard inspect`"};
  }
  return logits;
}

Result<HeadLogits> StreamHeads::query(std::span<const float> hidden) const {
  return apply(query_, hidden);
}

Result<HeadLogits> StreamHeads::response(std::span<const float> hidden) const {
  return apply(response_, hidden);
}

}  // namespace qwen3guard::heads
