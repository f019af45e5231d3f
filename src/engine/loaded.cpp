#include "engine/loaded.h"

#include <algorithm>
#include <iterator>
#include <thread>

#include "base/try.h"
#include "bytes/quote.h"
#include "tokens/chat_template.h"

namespace qwen3guard::engine {

Result<std::shared_ptr<const Loaded>> Loaded::load(const std::filesystem::path& path,
                                                   const GuardOptions& options) {
  if (options.threads < 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "threads: expected 0 (one for each core) or more, found " +
                     std::to_string(options.threads)};
  }
  std::shared_ptr<Loaded> loaded(new Loaded());
  loaded->options_ = options;
  // Only what writes text reads all logits; scoring looks a few rows up.
  const bool writes = options.gen_method == GenMethod::kGreedy;
  QG_TRY(loaded->model_,
         model::Model::load(path, {.weights = options.weights, .all_logits = writes}));
  const bytes::GgufFile* gguf = loaded->model_->checkpoint().gguf();
  QG_TRY(loaded->tokenizer_,
         gguf != nullptr ? tokens::Tokenizer::from_gguf(*gguf) : tokens::Tokenizer::load(path));
  const model::ModelConfig& config = loaded->model_->config();
  if (config.guard) {
    QG_TRY(loaded->heads_, heads::StreamHeads::load(loaded->model_));
  }
  if (loaded->tokenizer_->vocabulary_size() > config.vocabulary_size) {
    return Error{ErrorCode::kCorruptFile,
                 path.string() + ": the tokenizer has " +
                     std::to_string(loaded->tokenizer_->vocabulary_size()) +
                     " tokens, the model embeds only " + std::to_string(config.vocabulary_size) +
                     "; tokenizer.json and weights do not belong together"};
  }
  // Here, not at the first conversation that needs one: without <think> a Stream model could judge
  // a prompt and then not its answer, a Gen model nothing.
  if (Status status = tokens::check_control_tokens(*loaded->tokenizer_); !status.ok()) {
    return std::move(status).error().with_context(bytes::quote_path(path));
  }
  loaded->turn_end_ = *loaded->tokenizer_->added_token(tokens::kTurnEnd);
  loaded->text_end_ = loaded->tokenizer_->added_token("<|endoftext|>");
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  loaded->pool_ = std::make_unique<base::ThreadPool>(options.threads > 0 ? options.threads
                                                                         : static_cast<int>(cores));
  if (options.queue.step_tokens == 0) {
    return Error{ErrorCode::kInvalidArgument, "queue.step_tokens: expected 1 or more, found 0"};
  }
  loaded->scheduler_ = std::make_unique<Scheduler>(*loaded->model_, *loaded->pool_, options.queue);
  loaded->kv_budget_ = std::make_shared<model::KvBudget>(options.kv_memory_bytes);
  loaded->prefix_cache_ = std::make_unique<PrefixCache>(options.prefix_cache_bytes);
  return std::shared_ptr<const Loaded>(std::move(loaded));
}

TokenVerdict judge(const heads::HeadLogits& logits, Target target) {
  TokenVerdict verdict;
  const std::size_t categories =
      target == Target::kPrompt ? kQueryCategoryCount : kResponseCategoryCount;
  verdict.probabilities.p = logits.risk;
  kernels::softmax(verdict.probabilities.p.data(), kRiskCount);
  std::copy_n(logits.category.begin(), categories, verdict.category_probabilities.begin());
  kernels::softmax(verdict.category_probabilities.data(), categories);
  const auto largest = [](const auto& values, std::size_t count) {
    return static_cast<int>(std::distance(
        values.begin(),
        std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count))));
  };
  verdict.risk = static_cast<Risk>(largest(verdict.probabilities.p, kRiskCount));
  if (verdict.risk != Risk::kSafe) {
    verdict.category = static_cast<Category>(largest(verdict.category_probabilities, categories));
  }
  return verdict;
}

}  // namespace qwen3guard::engine
