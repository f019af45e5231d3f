#include "model/model.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/try.h"

namespace qwen3guard::model {
namespace {

// Tokens that one pass over the weights serves; bounds the workspace of a long prefill.
constexpr std::size_t kChunk = 128;
// Rows of the LM head that a thread takes at a time.
constexpr std::size_t kLogitGrain = 1024;
// Tokens whose queries share the keys and values that a thread loads.
constexpr std::size_t kTokenTile = 8;

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

Model::Model(ModelConfig config, bytes::TensorStore store, Weights weights,
             const ModelOptions& options)
    : config_(std::move(config)),
      store_(std::move(store)),
      weights_(std::move(weights)),
      options_(options),
      kernels_(options.kernels) {}

Result<std::shared_ptr<const Model>> Model::load(const std::filesystem::path& directory,
                                                 const ModelOptions& options) {
  QG_TRY(ModelConfig config, load_config(directory));
  QG_TRY(bytes::TensorStore store, bytes::TensorStore::open(directory));
  auto weights = find_weights(store, config, options.weights);
  if (!weights.ok()) return std::move(weights).error().with_context(directory.string());
  return std::shared_ptr<const Model>(
      new Model(std::move(config), std::move(store), std::move(weights).value(), options));
}

// Norms and rotates the queries in place and the keys into the cache, the values beside them.
void Model::store_kv(const LayerWeights& w, std::size_t layer, std::size_t first, std::size_t count,
                     KvCache& cache, Workspace& ws, base::ThreadPool& pool) const {
  const ModelConfig& c = config_;
  const std::size_t dim = c.head_dim;
  pool.parallel_for(count, kTokenTile, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      const float* cosines = ws.cosines.data() + t * dim / 2;
      const float* sines = ws.sines.data() + t * dim / 2;
      float* query = ws.qkv.data() + t * (c.query_width() + 2 * c.kv_width());
      float* key = query + c.query_width();
      const float* value = key + c.kv_width();
      for (std::size_t h = 0; h < c.heads; ++h) {
        kernels_->rms_norm(query + h * dim, w.query_norm.data(), dim, c.rms_epsilon,
                           query + h * dim);
        kernels::rope(query + h * dim, cosines, sines, dim);
      }
      const std::size_t block = (first + t) / KvCache::kBlockTokens;
      for (std::size_t h = 0; h < c.kv_heads; ++h) {
        kernels_->rms_norm(key + h * dim, w.key_norm.data(), dim, c.rms_epsilon, key + h * dim);
        kernels::rope(key + h * dim, cosines, sines, dim);
        kernels_->store_kv(cache.type(), key + h * dim, value + h * dim, dim,
                           (first + t) % KvCache::kBlockTokens, cache.key_block(layer, h, block),
                           cache.value_block(layer, h, block));
      }
    }
  });
}

// GQA over the cache: every query from token `wanted` on attends to all positions up to its token's
// own. A task is one key head and a few tokens, so that each key and value is loaded once for
// several queries.
void Model::attend(std::size_t layer, std::size_t first, std::size_t count, std::size_t wanted,
                   const KvCache& cache, Workspace& ws, base::ThreadPool& pool) const {
  const ModelConfig& c = config_;
  const std::size_t dim = c.head_dim;
  const std::size_t group = c.heads / c.kv_heads;  // query heads that share a key head
  const std::size_t qkv_width = c.query_width() + 2 * c.kv_width();
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  const std::size_t tiles = (count - wanted + kTokenTile - 1) / kTokenTile;
  pool.parallel_for(tiles * c.kv_heads, 1, [&](std::size_t begin, std::size_t end) {
    thread_local std::vector<float> queries, scores, sums;
    for (std::size_t task = begin; task < end; ++task) {
      const std::size_t head = task % c.kv_heads;
      const std::size_t from = wanted + task / c.kv_heads * kTokenTile;
      const std::size_t tokens = std::min(kTokenTile, count - from);
      const std::size_t rows = tokens * group;
      const std::size_t longest = first + from + tokens;  // positions that the last token sees
      const std::size_t blocks = (longest + KvCache::kBlockTokens - 1) / KvCache::kBlockTokens;
      const std::size_t stride = blocks * KvCache::kBlockTokens;
      queries.resize(rows * dim);
      scores.resize(rows * stride);
      sums.assign(rows * dim, 0.0f);
      for (std::size_t t = 0; t < tokens; ++t) {
        std::copy_n(ws.qkv.data() + (from + t) * qkv_width + head * group * dim, group * dim,
                    queries.data() + t * group * dim);
      }
      const auto used = [&](std::size_t b) {
        return std::min(KvCache::kBlockTokens, longest - b * KvCache::kBlockTokens);
      };
      for (std::size_t b = 0; b < blocks; ++b) {
        kernels_->score_keys(cache.type(), queries.data(), rows, dim,
                             cache.key_block(layer, head, b), used(b), scale,
                             scores.data() + b * KvCache::kBlockTokens, stride);
      }
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t seen = first + from + r / group + 1;
        kernels_->softmax(scores.data() + r * stride, seen);
        std::fill(scores.begin() + static_cast<std::ptrdiff_t>(r * stride + seen),
                  scores.begin() + static_cast<std::ptrdiff_t>((r + 1) * stride), 0.0f);
      }
      for (std::size_t b = 0; b < blocks; ++b) {
        kernels_->add_values(cache.type(), scores.data() + b * KvCache::kBlockTokens, stride, rows,
                             cache.value_block(layer, head, b), used(b), dim, sums.data());
      }
      for (std::size_t t = 0; t < tokens; ++t) {
        std::copy_n(sums.data() + t * group * dim, group * dim,
                    ws.attended.data() + (from + t) * c.query_width() + head * group * dim);
      }
    }
  });
}

Status Model::check(std::span<const std::int32_t> ids, std::size_t held) const {
  for (const std::int32_t id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= config_.vocabulary_size) {
      return Error{ErrorCode::kInvalidArgument, "token id " + std::to_string(id) +
                                                    " is outside the model's vocabulary of " +
                                                    std::to_string(config_.vocabulary_size)};
    }
  }
  if (held + ids.size() > config_.max_positions) {
    return Error{ErrorCode::kTooLong, "the conversation has " + std::to_string(held + ids.size()) +
                                          " tokens, the model takes at most " +
                                          std::to_string(config_.max_positions) +
                                          " (max_position_embeddings); shorten it"};
  }
  return {};
}

// The chunk's embeddings and rotation angles.
void Model::begin_chunk(std::span<const std::int32_t> ids, std::size_t first, Workspace& ws) const {
  const ModelConfig& c = config_;
  const std::size_t count = ids.size(), half = c.head_dim / 2;
  ws.states.resize(count * c.hidden_size);
  ws.normed.resize(count * c.hidden_size);
  ws.qkv.resize(count * (c.query_width() + 2 * c.kv_width()));
  ws.attended.resize(count * c.query_width());
  ws.gate_up.resize(count * 2 * c.intermediate_size);
  ws.gated.resize(count * c.intermediate_size);
  ws.cosines.resize(count * half);
  ws.sines.resize(count * half);
  for (std::size_t t = 0; t < count; ++t) {
    const auto id = static_cast<std::size_t>(ids[t]);
    kernels::widen_row(weights_.embeddings.row(id), weights_.embeddings.type, c.hidden_size,
                       ws.states.data() + t * c.hidden_size);
    kernels::rope_angles(first + t, c.rope_theta, c.head_dim, ws.cosines.data() + t * half,
                         ws.sines.data() + t * half);
  }
}

void Model::norm(const std::vector<float>& weight, const float* x, std::size_t tokens, float* out,
                 base::ThreadPool& pool) const {
  const std::size_t width = config_.hidden_size;
  pool.parallel_for(tokens, kTokenTile, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t)
      kernels_->rms_norm(x + t * width, weight.data(), width, config_.rms_epsilon, out + t * width);
  });
}

// One layer over the chunk. All its tokens leave keys and values; only those from `wanted` on get
// new states.
void Model::run_layer(std::size_t layer, std::size_t first, std::size_t count, std::size_t wanted,
                      KvCache& cache, Workspace& ws, base::ThreadPool& pool) const {
  const ModelConfig& c = config_;
  const LayerWeights& w = weights_.layers[layer];
  const std::size_t rest = count - wanted;
  float* const states = ws.states.data() + wanted * c.hidden_size;
  const auto multiply = [&](const Linear& weights, const float* x, std::size_t tokens, float* out) {
    weights.multiply(*kernels_, x, tokens, out, ws.quantized, pool);
  };
  const auto add_to_states = [&] {
    for (std::size_t i = 0; i < rest * c.hidden_size; ++i) states[i] += ws.normed[i];
  };
  norm(w.input_norm, ws.states.data(), count, ws.normed.data(), pool);
  multiply(w.qkv, ws.normed.data(), count, ws.qkv.data());
  store_kv(w, layer, first, count, cache, ws, pool);
  if (rest == 0) return;
  attend(layer, first, count, wanted, cache, ws, pool);
  multiply(w.output, ws.attended.data() + wanted * c.query_width(), rest, ws.normed.data());
  add_to_states();

  norm(w.post_norm, states, rest, ws.normed.data(), pool);
  multiply(w.gate_up, ws.normed.data(), rest, ws.gate_up.data());
  pool.parallel_for(rest, kTokenTile, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      const float* gate = ws.gate_up.data() + t * 2 * c.intermediate_size;
      float* out = ws.gated.data() + t * c.intermediate_size;
      std::copy_n(gate, c.intermediate_size, out);
      kernels_->silu_mul(out, gate + c.intermediate_size, c.intermediate_size);
    }
  });
  multiply(w.down, ws.gated.data(), rest, ws.normed.data());
  add_to_states();
}

Status Model::forward(std::span<const std::int32_t> ids, KvCache& cache, Workspace& ws,
                      base::ThreadPool& pool, std::span<float> hidden,
                      const Observer& observer) const {
  const ModelConfig& c = config_;
  const std::size_t start = cache.size();
  QG_CHECK(hidden.size() % c.hidden_size == 0 && hidden.size() <= ids.size() * c.hidden_size);
  QG_CHECK_OK(check(ids, start));
  const std::size_t unread = ids.size() - hidden.size() / c.hidden_size;  // states nobody asked for
  QG_CHECK(!observer || unread == 0);

  for (std::size_t done = 0; done < ids.size();) {
    const std::size_t count = std::min(kChunk, ids.size() - done);
    const std::size_t first = start + done;
    cache.grow(count);
    begin_chunk(ids.subspan(done, count), first, ws);
    if (observer) observer(0, ws.states);
    const std::size_t wanted = std::min(count, unread - std::min(unread, done));
    for (std::size_t layer = 0; layer < c.layers; ++layer) {
      run_layer(layer, first, count, layer + 1 == c.layers ? wanted : 0, cache, ws, pool);
      if (observer) observer(layer + 1, ws.states);
    }
    if (wanted < count) {
      const auto out = hidden.subspan((done + wanted - unread) * c.hidden_size,
                                      (count - wanted) * c.hidden_size);
      norm(weights_.final_norm, ws.states.data() + wanted * c.hidden_size, count - wanted,
           out.data(), pool);
      if (!all_finite(out)) {
        cache.truncate(start);
        return Error{ErrorCode::kNonFinite,
                     "the model produced NaN or infinity: its weights are broken; check them with "
                     "`qwen3guard inspect`"};
      }
    }
    done += count;
  }
  return {};
}

void Model::lm_logits(std::span<const float> hidden, base::ThreadPool& pool,
                      std::span<float> logits) const {
  QG_CHECK(weights_.lm_head.data != nullptr && logits.size() == config_.vocabulary_size);
  pool.parallel_for(logits.size(), kLogitGrain, [&](std::size_t begin, std::size_t end) {
    kernels_->matmul(weights_.lm_head, begin, end, hidden.data(), 1, logits.data(), logits.size());
  });
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
