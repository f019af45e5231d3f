#include "model/model.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/try.h"

namespace qwen3guard::model {
namespace {

// Tokens that one pass over the weights serves; bounds the workspace of a long prefill.
constexpr std::size_t kChunk = 128;
// Tokens whose queries share the keys and values that a thread loads.
constexpr std::size_t kTokenTile = 8;

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

Model::Model(Checkpoint checkpoint, Weights weights, const ModelOptions& options)
    : checkpoint_(std::move(checkpoint)),
      config_(checkpoint_.config()),
      weights_(std::move(weights)),
      kernels_(options.kernels) {}

Result<std::shared_ptr<const Model>> Model::load(const std::filesystem::path& path,
                                                 const ModelOptions& options) {
  QG_TRY(Checkpoint checkpoint, Checkpoint::open(path));
  auto weights = find_weights(checkpoint, options.weights, options.all_logits);
  if (!weights.ok()) return std::move(weights).error().with_context(path.string());
  return std::shared_ptr<const Model>(
      new Model(std::move(checkpoint), std::move(weights).value(), options));
}

Status Model::check(const Sequence& sequence) const {
  for (const std::int32_t id : sequence.ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= config_.vocabulary_size) {
      return Error{ErrorCode::kInvalidArgument, "token id " + std::to_string(id) +
                                                    " is outside the model's vocabulary of " +
                                                    std::to_string(config_.vocabulary_size)};
    }
  }
  const std::size_t length = sequence.cache->size() + sequence.ids.size();
  if (length > config_.max_positions) {
    return Error{ErrorCode::kTooLong, "the conversation has " + std::to_string(length) +
                                          " tokens, the model takes at most " +
                                          std::to_string(config_.max_positions) +
                                          " (max_position_embeddings); shorten it"};
  }
  return {};
}

// Never shrinks: growing again would fill with zeros what is written anyway.
void Model::reserve(std::size_t tokens, Workspace& ws) const {
  const ModelConfig& c = config_;
  if (ws.states.size() >= tokens * c.hidden_size) return;
  ws.states.resize(tokens * c.hidden_size);
  ws.normed.resize(tokens * c.hidden_size);
  ws.qkv.resize(tokens * (c.query_width() + 2 * c.kv_width()));
  ws.attended.resize(tokens * c.query_width());
  ws.gate_up.resize(tokens * 2 * c.intermediate_size);
  ws.gated.resize(tokens * c.intermediate_size);
  ws.cosines.resize(tokens * c.head_dim / 2);
  ws.sines.resize(tokens * c.head_dim / 2);
}

Status Model::embed(std::span<const std::int32_t> ids, const Workspace::Piece& piece,
                    Workspace& ws) const {
  const ModelConfig& c = config_;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const std::size_t row = piece.row + t, half = c.head_dim / 2;
    QG_CHECK_OK(weights_.embeddings.widen(
        static_cast<std::size_t>(ids[t]),
        std::span(ws.states).subspan(row * c.hidden_size, c.hidden_size)));
    kernels::rope_angles(piece.first + t, c.rope_theta, c.head_dim, ws.cosines.data() + row * half,
                         ws.sines.data() + row * half);
  }
  return {};
}

void Model::norm(const std::vector<float>& weight, const float* x, std::size_t tokens, float* out,
                 base::ThreadPool& pool) const {
  const std::size_t width = config_.hidden_size;
  pool.parallel_for(tokens, kTokenTile, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t)
      kernels_->rms_norm(x + t * width, weight.data(), width, config_.rms_epsilon, out + t * width);
  });
}

// Norms and rotates the queries in place and the keys into the caches, the values beside them.
void Model::store_kv(const LayerWeights& w, std::size_t layer, Workspace& ws,
                     base::ThreadPool& pool) const {
  const ModelConfig& c = config_;
  const std::size_t dim = c.head_dim;
  const auto store = [&](const Workspace::Piece& piece, std::size_t t) {
    const std::size_t row = piece.row + t, position = piece.first + t;
    const float* cosines = ws.cosines.data() + row * dim / 2;
    const float* sines = ws.sines.data() + row * dim / 2;
    float* query = ws.qkv.data() + row * (c.query_width() + 2 * c.kv_width());
    float* key = query + c.query_width();
    const float* value = key + c.kv_width();
    for (std::size_t h = 0; h < c.heads; ++h) {
      kernels_->rms_norm(query + h * dim, w.query_norm.data(), dim, c.rms_epsilon, query + h * dim);
      kernels::rope(query + h * dim, cosines, sines, dim);
    }
    const std::size_t block = position / KvCache::kBlockTokens;
    for (std::size_t h = 0; h < c.kv_heads; ++h) {
      kernels_->rms_norm(key + h * dim, w.key_norm.data(), dim, c.rms_epsilon, key + h * dim);
      kernels::rope(key + h * dim, cosines, sines, dim);
      kernels_->store_kv(piece.cache->type(), key + h * dim, value + h * dim, dim,
                         position % KvCache::kBlockTokens, piece.cache->key_block(layer, h, block),
                         piece.cache->value_block(layer, h, block));
    }
  };
  const auto& pieces = ws.pieces;
  const std::size_t tokens = pieces.back().row + pieces.back().count;
  pool.parallel_for(tokens, kTokenTile, [&](std::size_t begin, std::size_t end) {
    for (const Workspace::Piece& piece : pieces) {
      const std::size_t from = std::max(begin, piece.row);
      const std::size_t to = std::min(end, piece.row + piece.count);
      for (std::size_t row = from; row < to; ++row) store(piece, row - piece.row);
    }
  });
}

// GQA over the caches: every query attends to all positions up to its token's own. A task is one
// key head and a few tokens of one piece, so that each key and value is loaded once for several
// queries.
void Model::attend(std::size_t layer, bool wanted_only, Workspace& ws,
                   base::ThreadPool& pool) const {
  struct Tile {
    const Workspace::Piece* piece;
    std::size_t from, tokens, out_row;
  };
  std::vector<Tile> tiles;
  for (const Workspace::Piece& piece : ws.pieces) {
    const std::size_t first = wanted_only ? piece.unread : 0;
    const std::size_t out = wanted_only ? piece.wanted_row : piece.row;
    for (std::size_t t = first; t < piece.count; t += kTokenTile)
      tiles.push_back({&piece, t, std::min(kTokenTile, piece.count - t), out + t - first});
  }
  const std::size_t heads = config_.kv_heads;
  pool.parallel_for(tiles.size() * heads, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t task = begin; task < end; ++task) {
      const Tile& tile = tiles[task / heads];
      attend_tile(layer, task % heads, *tile.piece, tile.from, tile.tokens, tile.out_row, ws);
    }
  });
}

void Model::attend_tile(std::size_t layer, std::size_t head, const Workspace::Piece& piece,
                        std::size_t from, std::size_t tokens, std::size_t out_row,
                        Workspace& ws) const {
  const ModelConfig& c = config_;
  const KvCache& cache = *piece.cache;
  const std::size_t dim = c.head_dim;
  const std::size_t group = c.heads / c.kv_heads;  // query heads that share a key head
  const std::size_t qkv_width = c.query_width() + 2 * c.kv_width();
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  const std::size_t rows = tokens * group;
  const std::size_t longest = piece.first + from + tokens;  // positions that the last token sees
  const std::size_t blocks = (longest + KvCache::kBlockTokens - 1) / KvCache::kBlockTokens;
  const std::size_t stride = blocks * KvCache::kBlockTokens;
  thread_local std::vector<float> queries, scores, sums;
  queries.resize(rows * dim);
  scores.resize(rows * stride);
  sums.assign(rows * dim, 0.0f);
  for (std::size_t t = 0; t < tokens; ++t) {
    std::copy_n(ws.qkv.data() + (piece.row + from + t) * qkv_width + head * group * dim,
                group * dim, queries.data() + t * group * dim);
  }
  const auto used = [&](std::size_t b) {
    return std::min(KvCache::kBlockTokens, longest - b * KvCache::kBlockTokens);
  };
  for (std::size_t b = 0; b < blocks; ++b) {
    kernels_->score_keys(cache.type(), queries.data(), rows, dim, cache.key_block(layer, head, b),
                         used(b), scale, scores.data() + b * KvCache::kBlockTokens, stride);
  }
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t seen = piece.first + from + r / group + 1;
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
                ws.attended.data() + (out_row + t) * c.query_width() + head * group * dim);
  }
}

// One layer over the chunk. All its tokens leave keys and values; with `wanted_only` the states of
// the wanted ones move to the front and only they go on.
void Model::run_layer(std::size_t layer, bool wanted_only, Workspace& ws,
                      base::ThreadPool& pool) const {
  const ModelConfig& c = config_;
  const LayerWeights& w = weights_.layers[layer];
  const Workspace::Piece& last = ws.pieces.back();
  const std::size_t count = last.row + last.count;
  const auto multiply = [&](const Linear& weights, const std::vector<float>& x, std::size_t tokens,
                            std::vector<float>& out) {
    weights.multiply(*kernels_, x.data(), tokens, out.data(), ws.quantized, pool);
  };
  norm(w.input_norm, ws.states.data(), count, ws.normed.data(), pool);
  multiply(w.qkv, ws.normed, count, ws.qkv);
  store_kv(w, layer, ws, pool);

  std::size_t tokens = count;
  if (wanted_only) {
    tokens = last.wanted_row + last.count - last.unread;
    for (const Workspace::Piece& piece : ws.pieces) {
      if (piece.wanted_row == piece.row + piece.unread) continue;
      const auto from = ws.states.begin() +
                        static_cast<std::ptrdiff_t>((piece.row + piece.unread) * c.hidden_size);
      const auto size = static_cast<std::ptrdiff_t>((piece.count - piece.unread) * c.hidden_size);
      std::copy(from, from + size,
                ws.states.begin() + static_cast<std::ptrdiff_t>(piece.wanted_row * c.hidden_size));
    }
  }
  if (tokens == 0) return;
  const auto add_to_states = [&] {
    pool.parallel_for(tokens, kTokenTile, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin * c.hidden_size; i < end * c.hidden_size; ++i)
        ws.states[i] += ws.normed[i];
    });
  };
  attend(layer, wanted_only, ws, pool);
  multiply(w.output, ws.attended, tokens, ws.normed);
  add_to_states();

  norm(w.post_norm, ws.states.data(), tokens, ws.normed.data(), pool);
  multiply(w.gate_up, ws.normed, tokens, ws.gate_up);
  pool.parallel_for(tokens, kTokenTile, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      const float* gate = ws.gate_up.data() + t * 2 * c.intermediate_size;
      float* out = ws.gated.data() + t * c.intermediate_size;
      std::copy_n(gate, c.intermediate_size, out);
      kernels_->silu_mul(out, gate + c.intermediate_size, c.intermediate_size);
    }
  });
  multiply(w.down, ws.gated, tokens, ws.normed);
  add_to_states();
}

std::vector<Status> Model::run(std::span<const Sequence> batch, Workspace& ws,
                               base::ThreadPool& pool, const Observer& observer) const {
  const std::size_t width = config_.hidden_size;
  std::vector<Status> results;
  std::vector<std::size_t> starts, done(batch.size());
  for (const Sequence& sequence : batch) {
    QG_CHECK(sequence.hidden.size() % width == 0 &&
             sequence.hidden.size() <= sequence.ids.size() * width);
    results.push_back(check(sequence));
    starts.push_back(sequence.cache->size());
  }
  const auto fail = [&](std::size_t s, Status status) {
    batch[s].cache->truncate(starts[s]);
    results[s] = std::move(status);
  };
  std::size_t tokens = 0;
  for (const Sequence& sequence : batch) tokens += sequence.ids.size();
  const std::size_t chunk = std::min(kChunk, tokens);
  for (;;) {
    ws.pieces.clear();
    std::size_t rows = 0, wanted = 0;
    reserve(chunk, ws);
    for (std::size_t s = 0; s < batch.size() && rows < chunk; ++s) {
      const Sequence& sequence = batch[s];
      const std::size_t count = std::min(chunk - rows, sequence.ids.size() - done[s]);
      if (!results[s].ok() || count == 0) continue;
      const std::size_t unread = sequence.ids.size() - sequence.hidden.size() / width;
      Workspace::Piece piece = {s,      sequence.cache, starts[s] + done[s], rows, count, 0,
                                wanted, nullptr};
      piece.unread = std::clamp(unread, done[s], done[s] + count) - done[s];
      if (piece.unread < count)
        piece.out = sequence.hidden.data() + (done[s] + piece.unread - unread) * width;
      if (Status status = embed(sequence.ids.subspan(done[s], count), piece, ws); !status.ok()) {
        fail(s, std::move(status));
        continue;
      }
      if (Status status = sequence.cache->grow(count); !status.ok()) {
        fail(s, std::move(status));
        continue;
      }
      ws.pieces.push_back(piece);
      rows += count;
      wanted += count - piece.unread;
      done[s] += count;
    }
    if (rows == 0) return results;
    const auto states = std::span(ws.states).first(rows * width);
    if (observer) observer(0, states);
    for (std::size_t layer = 0; layer < config_.layers; ++layer) {
      run_layer(layer, layer + 1 == config_.layers, ws, pool);
      if (observer) observer(layer + 1, states);
    }
    for (const Workspace::Piece& piece : ws.pieces) {
      if (piece.out == nullptr) continue;
      const std::size_t wanted_count = piece.count - piece.unread;
      norm(weights_.final_norm, ws.states.data() + piece.wanted_row * width, wanted_count,
           piece.out, pool);
      if (!all_finite({piece.out, wanted_count * width})) {
        fail(piece.sequence,
             Error{ErrorCode::kNonFinite,
                   "the model produced NaN or infinity: its weights are broken; check them with "
                   "`qwen3guard inspect`"});
      }
    }
  }
}

std::vector<Status> Model::forward(std::span<const Sequence> batch, Workspace& ws,
                                   base::ThreadPool& pool) const {
  return run(batch, ws, pool, nullptr);
}

Status Model::forward(std::span<const std::int32_t> ids, KvCache& cache, Workspace& ws,
                      base::ThreadPool& pool, std::span<float> hidden,
                      const Observer& observer) const {
  QG_CHECK(!observer || hidden.size() == ids.size() * config_.hidden_size);
  const Sequence one = {ids, &cache, hidden};
  return std::move(run({&one, 1}, ws, pool, observer).front());
}

void Model::lm_logits(std::span<const float> hidden, Workspace& ws, base::ThreadPool& pool,
                      std::span<float> logits) const {
  const std::size_t states = hidden.size() / config_.hidden_size;
  QG_CHECK(weights_.all_logits.rows() == config_.vocabulary_size &&
           hidden.size() == states * config_.hidden_size &&
           logits.size() == states * config_.vocabulary_size);
  weights_.all_logits.multiply(*kernels_, hidden.data(), states, logits.data(), ws.quantized, pool);
}

Status Model::lm_logits(std::span<const float> hidden, std::span<const std::int32_t> rows,
                        std::span<float> logits) const {
  QG_CHECK(!weights_.lm_head.empty() && logits.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<std::size_t>(rows[i]);
    QG_CHECK(row < config_.vocabulary_size);
    QG_CHECK_OK(lm_logit(hidden, row, logits[i]));
  }
  return {};
}

Status Model::lm_logit(std::span<const float> hidden, std::size_t row, float& logit) const {
  thread_local std::vector<float> weights;
  weights.resize(config_.hidden_size);
  QG_CHECK_OK(weights_.lm_head.widen(row, weights));
  const kernels::Matrix one = {reinterpret_cast<const std::byte*>(weights.data()),
                               kernels::WeightType::kF32, 1, weights.size()};
  kernels_->matmul(one, 0, 1, hidden.data(), 1, &logit, 1);
  return {};
}

}  // namespace qwen3guard::model
