#include "model/model.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/try.h"

namespace qwen3guard::model {
namespace {

// Tokens that one pass over the weights serves; bounds the workspace of a long prefill.
constexpr std::size_t kChunk = 128;
// Rows of weights that a thread takes at a time.
constexpr std::size_t kRowGrain = 64;

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

Model::Model(ModelConfig config, bytes::TensorStore store, Weights weights,
             const kernels::Kernels& kernels)
    : config_(std::move(config)),
      store_(std::move(store)),
      weights_(std::move(weights)),
      kernels_(&kernels) {}

Result<std::shared_ptr<const Model>> Model::load(const std::filesystem::path& directory,
                                                 const kernels::Kernels& kernels) {
  QG_TRY(ModelConfig config, load_config(directory));
  QG_TRY(bytes::TensorStore store, bytes::TensorStore::open(directory));
  auto weights = find_weights(store, config);
  if (!weights.ok()) return std::move(weights).error().with_context(directory.string());
  return std::shared_ptr<const Model>(
      new Model(std::move(config), std::move(store), std::move(weights).value(), kernels));
}

void Model::matmul(const kernels::Matrix& weights, const float* x, std::size_t tokens, float* out,
                   base::ThreadPool& pool) const {
  pool.parallel_for(weights.rows, kRowGrain, [&](std::size_t begin, std::size_t end) {
    kernels_->matmul(weights, begin, end, x, tokens, out, weights.rows);
  });
}

// GQA over the cache: query and key are normed per head and rotated, keys and values appended, then
// each head attends to all positions up to its token's own. Leaves the result in ws.attended.
void Model::attend(const LayerWeights& w, std::size_t layer, std::size_t first, std::size_t count,
                   KvCache& cache, Workspace& ws, base::ThreadPool& pool) const {
  const ModelConfig& c = config_;
  const std::size_t dim = c.head_dim;
  const std::size_t heads_per_kv = c.heads / c.kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  matmul(w.query, ws.normed.data(), count, ws.query.data(), pool);
  matmul(w.key, ws.normed.data(), count, ws.key.data(), pool);
  matmul(w.value, ws.normed.data(), count, ws.value.data(), pool);

  for (std::size_t t = 0; t < count; ++t) {
    const float* cosines = ws.cosines.data() + t * dim / 2;
    const float* sines = ws.sines.data() + t * dim / 2;
    for (std::size_t h = 0; h < c.heads; ++h) {
      float* q = ws.query.data() + t * c.query_width() + h * dim;
      kernels_->rms_norm(q, w.query_norm.data(), dim, c.rms_epsilon, q);
      kernels::rope(q, cosines, sines, dim);
    }
    for (std::size_t h = 0; h < c.kv_heads; ++h) {
      const float* k = ws.key.data() + t * c.kv_width() + h * dim;
      float* cached = cache.key(layer, h, first + t);
      kernels_->rms_norm(k, w.key_norm.data(), dim, c.rms_epsilon, cached);
      kernels::rope(cached, cosines, sines, dim);
      const float* v = ws.value.data() + t * c.kv_width() + h * dim;
      std::copy_n(v, dim, cache.value(layer, h, first + t));
    }
  }

  pool.parallel_for(count * c.heads, 4, [&](std::size_t begin, std::size_t end) {
    thread_local std::vector<float> scores;
    scores.resize(first + count);
    for (std::size_t pair = begin; pair < end; ++pair) {
      const std::size_t t = pair / c.heads;
      const std::size_t h = pair % c.heads;
      const std::size_t kv_head = h / heads_per_kv;
      const std::size_t seen = first + t + 1;
      const float* q = ws.query.data() + t * c.query_width() + h * dim;
      float* out = ws.attended.data() + t * c.query_width() + h * dim;
      for (std::size_t begin_key = 0; begin_key < seen; begin_key += KvCache::kBlockTokens) {
        const std::size_t keys = std::min(KvCache::kBlockTokens, seen - begin_key);
        kernels_->score_keys(q, cache.key_block(layer, kv_head, begin_key / KvCache::kBlockTokens),
                             keys, dim, scale, scores.data() + begin_key);
      }
      kernels::softmax(scores.data(), seen);
      std::fill_n(out, dim, 0.0f);
      for (std::size_t begin_key = 0; begin_key < seen; begin_key += KvCache::kBlockTokens) {
        const std::size_t keys = std::min(KvCache::kBlockTokens, seen - begin_key);
        kernels_->add_values(scores.data() + begin_key,
                             cache.value_block(layer, kv_head, begin_key / KvCache::kBlockTokens),
                             keys, dim, out);
      }
    }
  });
}

Status Model::forward(std::span<const std::int32_t> ids, KvCache& cache, Workspace& ws,
                      base::ThreadPool& pool, std::span<float> hidden,
                      const Observer& observer) const {
  const ModelConfig& c = config_;
  const std::size_t start = cache.size();
  QG_CHECK(hidden.size() == ids.size() * c.hidden_size);
  for (const std::int32_t id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= c.vocabulary_size) {
      return Error{ErrorCode::kInvalidArgument, "token id " + std::to_string(id) +
                                                    " is outside the model's vocabulary of " +
                                                    std::to_string(c.vocabulary_size)};
    }
  }
  if (start + ids.size() > c.max_positions) {
    return Error{ErrorCode::kTooLong, "the conversation has " + std::to_string(start + ids.size()) +
                                          " tokens, the model takes at most " +
                                          std::to_string(c.max_positions) +
                                          " (max_position_embeddings); shorten it"};
  }

  for (std::size_t done = 0; done < ids.size();) {
    const std::size_t count = std::min(kChunk, ids.size() - done);
    const std::size_t first = start + done;
    float* states = hidden.data() + done * c.hidden_size;
    cache.grow(count);
    ws.normed.resize(count * c.hidden_size);
    ws.query.resize(count * c.query_width());
    ws.attended.resize(count * c.query_width());
    ws.key.resize(count * c.kv_width());
    ws.value.resize(count * c.kv_width());
    ws.gate.resize(count * c.intermediate_size);
    ws.up.resize(count * c.intermediate_size);
    ws.cosines.resize(count * c.head_dim / 2);
    ws.sines.resize(count * c.head_dim / 2);

    for (std::size_t t = 0; t < count; ++t) {
      const auto id = static_cast<std::size_t>(ids[done + t]);
      kernels::widen_row(weights_.embeddings.row(id), weights_.embeddings.type, c.hidden_size,
                         states + t * c.hidden_size);
      kernels::rope_angles(first + t, c.rope_theta, c.head_dim,
                           ws.cosines.data() + t * c.head_dim / 2,
                           ws.sines.data() + t * c.head_dim / 2);
    }
    if (observer) observer(0, {states, count * c.hidden_size});

    const auto norm_all = [&](const std::vector<float>& weight, float* out) {
      for (std::size_t t = 0; t < count; ++t) {
        kernels_->rms_norm(states + t * c.hidden_size, weight.data(), c.hidden_size, c.rms_epsilon,
                           out + t * c.hidden_size);
      }
    };
    const auto add_to_states = [&](const float* delta) {
      for (std::size_t i = 0; i < count * c.hidden_size; ++i) states[i] += delta[i];
    };
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
      const LayerWeights& w = weights_.layers[layer];
      norm_all(w.input_norm, ws.normed.data());
      attend(w, layer, first, count, cache, ws, pool);
      matmul(w.output, ws.attended.data(), count, ws.normed.data(), pool);
      add_to_states(ws.normed.data());

      norm_all(w.post_norm, ws.normed.data());
      matmul(w.gate, ws.normed.data(), count, ws.gate.data(), pool);
      matmul(w.up, ws.normed.data(), count, ws.up.data(), pool);
      kernels_->silu_mul(ws.gate.data(), ws.up.data(), count * c.intermediate_size);
      matmul(w.down, ws.gate.data(), count, ws.normed.data(), pool);
      add_to_states(ws.normed.data());
      if (observer) observer(layer + 1, {states, count * c.hidden_size});
    }
    norm_all(weights_.final_norm, states);
    if (!all_finite({states, count * c.hidden_size})) {
      cache.truncate(start);
      return Error{ErrorCode::kNonFinite,
                   "the model produced NaN or infinity: its weights are broken; check them with "
                   "`qwen3guard inspect`"};
    }
    done += count;
  }
  return {};
}

void Model::lm_logits(std::span<const float> hidden, base::ThreadPool& pool,
                      std::span<float> logits) const {
  QG_CHECK(weights_.lm_head.data != nullptr && logits.size() == config_.vocabulary_size);
  matmul(weights_.lm_head, hidden.data(), 1, logits.data(), pool);
}

void Model::lm_logits(std::span<const float> hidden, std::span<const std::int32_t> rows,
                      std::span<float> logits) const {
  QG_CHECK(weights_.lm_head.data != nullptr && logits.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<std::size_t>(rows[i]);
    QG_CHECK(row < config_.vocabulary_size);
    // The kernel writes at the row's own index: shift the output back to ours.
    kernels::Matrix one = weights_.lm_head;
    one.data = one.row(row);
    one.rows = 1;
    kernels_->matmul(one, 0, 1, hidden.data(), 1, &logits[i], 1);
  }
}

}  // namespace qwen3guard::model
