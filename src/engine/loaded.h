// A loaded checkpoint with everything that judging needs: const and shared by all sessions.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "engine/prefix_cache.h"
#include "engine/scheduler.h"
#include "heads/stream_heads.h"
#include "model/model.h"
#include "qwen3guard/guard.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::engine {

/// Thread-safe: the scheduler batches what concurrent sessions read, the prefix cache locks, all
/// else is const.
class Loaded {
 public:
  /// Errors: those of the readers; kCorruptFile and kUnsupported for a tokenizer that does not fit
  /// the model or lacks a control token of the chat template.
  static Result<std::shared_ptr<const Loaded>> load(const std::filesystem::path& path,
                                                    const GuardOptions& options);

  const GuardOptions& options() const { return options_; }
  const model::Model& model() const { return *model_; }
  const heads::StreamHeads* stream_heads() const { return heads_ ? &*heads_ : nullptr; }
  const std::shared_ptr<const tokens::Tokenizer>& tokenizer() const { return tokenizer_; }
  base::ThreadPool& pool() const { return *pool_; }
  PrefixCache& prefix_cache() const { return *prefix_cache_; }
  Scheduler& scheduler() const { return *scheduler_; }
  /// A cache that counts towards GuardOptions::kv_memory_bytes.
  model::KvCache new_cache() const { return model_->new_cache(kv_budget_); }
  /// The id of <|im_end|>, where a prompt's verdict is read and an answer ends.
  tokens::TokenId turn_end() const { return turn_end_; }
  /// Whether a model that writes `id` has ended its answer: <|im_end|> or <|endoftext|>.
  bool ends_answer(tokens::TokenId id) const { return id == turn_end_ || id == text_end_; }

 private:
  Loaded() = default;
  GuardOptions options_;
  std::shared_ptr<const model::Model> model_;
  std::optional<heads::StreamHeads> heads_;
  std::shared_ptr<const tokens::Tokenizer> tokenizer_;
  std::unique_ptr<base::ThreadPool> pool_;
  std::unique_ptr<PrefixCache> prefix_cache_;
  std::unique_ptr<Scheduler> scheduler_;
  std::shared_ptr<model::KvBudget> kv_budget_;
  tokens::TokenId turn_end_ = 0;
  std::optional<tokens::TokenId> text_end_;
};

/// Softmax of a head's logits as a judged token of `target`.
TokenVerdict judge(const heads::HeadLogits& logits, Target target);

}  // namespace qwen3guard::engine
