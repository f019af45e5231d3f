// Any dense Qwen3: token ids -> hidden states, with a KV cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "bytes/safetensors.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/weights.h"
#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// Scratch memory of one forward pass at a time; reused from call to call, owned by the caller.
class Workspace {
 private:
  friend class Model;
  std::vector<float> states, normed, qkv, attended, gate_up, gated, cosines, sines;
  Quantized quantized;
};

struct ModelOptions {
  WeightFormat weights = WeightFormat::kStored;
  const kernels::Kernels* kernels = &kernels::active_kernels();
};

/// Const after load: share one between threads, each with its own KvCache and Workspace.
class Model {
 public:
  /// Called after the embedding (layer 0) and after each layer l (as l + 1) with the states
  /// [tokens, hidden] of the chunk, for comparison with a reference.
  using Observer = std::function<void(std::size_t layer, std::span<const float> states)>;

  /// Maps the checkpoint in `directory`; weights stay in the page cache in their own format.
  static Result<std::shared_ptr<const Model>> load(const std::filesystem::path& directory,
                                                   const ModelOptions& options = {});

  const ModelConfig& config() const { return config_; }
  const bytes::TensorStore& tensors() const { return store_; }
  /// An empty cache for this model.
  KvCache new_cache() const {
    const bool stored = options_.weights == WeightFormat::kStored;
    return KvCache(config_, stored ? kernels::CacheType::kF32 : kernels::CacheType::kF16);
  }

  /// Reads `ids` after the tokens that `cache` holds and appends them to it. `hidden`
  /// [n, hidden_size], n <= ids.size(), receives the final-normed states of the last n tokens: what
  /// nobody reads is not computed. An observer needs all of them. Errors, cache unchanged:
  /// kInvalidArgument (an id outside the vocabulary), kTooLong (past max_positions), kNonFinite
  /// (broken weights).
  Status forward(std::span<const std::int32_t> ids, KvCache& cache, Workspace& workspace,
                 base::ThreadPool& pool, std::span<float> hidden,
                 const Observer& observer = nullptr) const;

  /// Next-token logits [vocabulary] of one final-normed state. REQUIRES: a causal LM.
  void lm_logits(std::span<const float> hidden, base::ThreadPool& pool,
                 std::span<float> logits) const;
  /// The logits of a few rows only.
  void lm_logits(std::span<const float> hidden, std::span<const std::int32_t> rows,
                 std::span<float> logits) const;

 private:
  Model(ModelConfig config, bytes::TensorStore store, Weights weights, const ModelOptions& options);
  void store_kv(const LayerWeights& weights, std::size_t layer, std::size_t first,
                std::size_t count, KvCache& cache, Workspace& ws, base::ThreadPool& pool) const;
  void attend(std::size_t layer, std::size_t first, std::size_t count, std::size_t wanted,
              const KvCache& cache, Workspace& ws, base::ThreadPool& pool) const;
  Status check(std::span<const std::int32_t> ids, std::size_t held) const;
  void begin_chunk(std::span<const std::int32_t> ids, std::size_t first, Workspace& ws) const;
  void norm(const std::vector<float>& weight, const float* x, std::size_t tokens, float* out,
            base::ThreadPool& pool) const;
  void run_layer(std::size_t layer, std::size_t first, std::size_t count, std::size_t wanted,
                 KvCache& cache, Workspace& ws, base::ThreadPool& pool) const;

  ModelConfig config_;
  bytes::TensorStore store_;
  Weights weights_;
  ModelOptions options_;
  const kernels::Kernels* kernels_;
};

}  // namespace qwen3guard::model
