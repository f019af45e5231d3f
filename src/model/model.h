// Any dense Qwen3: token ids -> hidden states, with a KV cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/weights.h"
#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// What one pass reads of one conversation.
struct Sequence {
  std::span<const std::int32_t> ids;  // after the tokens that `cache` holds
  KvCache* cache = nullptr;           // they are appended to it; no two sequences share one
  /// [n, hidden_size], n <= ids.size(): receives the final-normed states of the last n tokens. What
  /// nobody reads is not computed.
  std::span<float> hidden;
};

/// Scratch memory of one forward pass at a time; reused from call to call, owned by the caller.
class Workspace {
 private:
  friend class Model;
  // A stretch of one sequence in the current chunk.
  struct Piece {
    std::size_t sequence = 0;
    KvCache* cache = nullptr;
    std::size_t first = 0;       // position of its first token in the cache
    std::size_t row = 0;         // its first token in the chunk
    std::size_t count = 0;       // tokens
    std::size_t unread = 0;      // leading tokens whose final states nobody reads
    std::size_t wanted_row = 0;  // its first wanted token among the chunk's wanted ones
    float* out = nullptr;        // for the final states of the wanted ones
  };
  std::vector<Piece> pieces;
  std::vector<float> states, normed, qkv, attended, gate_up, gated, cosines, sines;
  Quantized quantized;
};

struct ModelOptions {
  WeightFormat weights = WeightFormat::kStored;
  /// Whether a causal LM can give the logits of all tokens. It then holds its LM head in the format
  /// of the projections: floats as stored cost nothing, packed weights are a copy of their own,
  /// because rows are still looked up in the stored matrix (tied embeddings, lm_logits of a few).
  bool all_logits = true;
  const kernels::Kernels* kernels = &kernels::active_kernels();
};

/// Const after load: share one between threads, each with its own KvCache and Workspace.
class Model {
 public:
  /// Called after the embedding (layer 0) and after each layer l (as l + 1) with the states
  /// [tokens, hidden] of the chunk, for comparison with a reference.
  using Observer = std::function<void(std::size_t layer, std::span<const float> states)>;

  /// Maps the checkpoint: a directory or a .gguf file. Float weights stay in the page cache as they
  /// are, unless options ask for quantized ones.
  static Result<std::shared_ptr<const Model>> load(const std::filesystem::path& directory,
                                                   const ModelOptions& options = {});

  const ModelConfig& config() const { return config_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  /// An empty cache for this model.
  KvCache new_cache(std::shared_ptr<KvBudget> budget = nullptr) const {
    return KvCache(config_, weights_.packed ? kernels::CacheType::kF16 : kernels::CacheType::kF32,
                   std::move(budget));
  }

  /// Reads several conversations in one pass over the weights; every token gets the bits that it
  /// would get alone. Result i is that of sequence i: kInvalidArgument (an id outside the
  /// vocabulary), kTooLong (past max_positions), kOverloaded (the cache's budget is used up),
  /// kNonFinite (broken weights); its cache is unchanged then, and the others go on.
  std::vector<Status> forward(std::span<const Sequence> batch, Workspace& workspace,
                              base::ThreadPool& pool) const;
  /// One conversation. An observer needs all states.
  Status forward(std::span<const std::int32_t> ids, KvCache& cache, Workspace& workspace,
                 base::ThreadPool& pool, std::span<float> hidden,
                 const Observer& observer = nullptr) const;

  /// Next-token logits [n, vocabulary] of n final-normed states [n, hidden_size], each with the
  /// bits that it would get alone. Broken weights give NaN or infinity: whoever reads logits
  /// checks. REQUIRES: a causal LM loaded with ModelOptions::all_logits.
  void lm_logits(std::span<const float> hidden, Workspace& workspace, base::ThreadPool& pool,
                 std::span<float> logits) const;
  /// The logits of a few tokens only, from the head's rows as stored. REQUIRES: a causal LM.
  Status lm_logits(std::span<const float> hidden, std::span<const std::int32_t> rows,
                   std::span<float> logits) const;

 private:
  Model(Checkpoint checkpoint, Weights weights, const ModelOptions& options);
  Status check(const Sequence& sequence) const;
  std::vector<Status> run(std::span<const Sequence> batch, Workspace& ws, base::ThreadPool& pool,
                          const Observer& observer) const;
  Status embed(std::span<const std::int32_t> ids, const Workspace::Piece& piece,
               Workspace& ws) const;
  void reserve(std::size_t tokens, Workspace& ws) const;
  void run_layer(std::size_t layer, bool wanted_only, Workspace& ws, base::ThreadPool& pool) const;
  void store_kv(const LayerWeights& weights, std::size_t layer, Workspace& ws,
                base::ThreadPool& pool) const;
  void attend(std::size_t layer, bool wanted_only, Workspace& ws, base::ThreadPool& pool) const;
  void attend_tile(std::size_t layer, std::size_t head, const Workspace::Piece& piece,
                   std::size_t from, std::size_t tokens, std::size_t out_row, Workspace& ws) const;
  void norm(const std::vector<float>& weight, const float* x, std::size_t tokens, float* out,
            base::ThreadPool& pool) const;
  Status lm_logit(std::span<const float> hidden, std::size_t row, float& logit) const;

  Checkpoint checkpoint_;
  ModelConfig config_;
  Weights weights_;
  const kernels::Kernels* kernels_;
};

}  // namespace qwen3guard::model
