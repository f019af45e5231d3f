#include "engine/generation_state.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/try.h"
#include "bytes/quote.h"
#include "engine/sampler.h"
#include "tokens/chat_template.h"
#include "tokens/utf8.h"

namespace qwen3guard::engine {
namespace {

Status check_options(const GenerateOptions& options) {
  if (options.max_tokens == 0)
    return Error{ErrorCode::kInvalidArgument, "max_tokens: expected 1 or more, found 0"};
  for (const std::string& stop : options.stop) {
    if (stop.empty() || !tokens::check_utf8(stop).ok()) {
      return Error{ErrorCode::kInvalidArgument,
                   "stop: expected strings of UTF-8 with at least one character, found " +
                       bytes::quote(stop, 40)};
    }
  }
  return check_sampling(options);
}

Result<tokens::RenderedConversation> render(const Conversation& conversation, PromptFormat format) {
  if (format == PromptFormat::kGuard)
    return tokens::render_gen(conversation, tokens::GenTemplate::kClean);
  if (conversation.empty() || conversation.back().role != Role::kUser) {
    return Error{ErrorCode::kInvalidConversation,
                 "an answer is written to a conversation whose last message is the user's"};
  }
  return tokens::render_chatml(conversation, {.add_generation_prompt = true,
                                              .enable_thinking = format == PromptFormat::kChat});
}

Error too_long(std::string_view what, std::size_t tokens, std::size_t limit) {
  return {ErrorCode::kTooLong, std::string(what) + " " + std::to_string(tokens) +
                                   " tokens; the model takes " + std::to_string(limit) +
                                   " (max_position_embeddings), of which an answer needs one at "
                                   "least: shorten it"};
}

}  // namespace

GenerationState::GenerationState(std::shared_ptr<const Loaded> loaded,
                                 const GenerateOptions& options,
                                 std::vector<tokens::TokenId> prompt)
    : loaded_(std::move(loaded)),
      options_(options),
      cache_(loaded_->new_cache()),
      ids_(std::move(prompt)),
      prompt_tokens_(ids_.size()),
      answer_(options.stop) {}

Result<std::unique_ptr<GenerationState>> GenerationState::open(std::shared_ptr<const Loaded> loaded,
                                                               const Conversation& conversation,
                                                               const GenerateOptions& options) {
  QG_CHECK_OK(check_options(options));
  QG_TRY(const tokens::RenderedConversation rendered, render(conversation, options.prompt));
  QG_TRY(tokens::Encoding encoding, loaded->tokenizer()->encode(rendered));
  const std::size_t limit = loaded->model().config().max_positions;
  if (encoding.ids.size() >= limit)
    return too_long("the conversation has", encoding.ids.size(), limit);
  return std::unique_ptr<GenerationState>(
      new GenerationState(std::move(loaded), options, std::move(encoding.ids)));
}

FinishReason GenerationState::finish() const {
  QG_CHECK(finished());
  return *finish_;
}

// Padding of the vocabulary, which no tokenizer has, is no text.
std::string GenerationState::bytes_of(tokens::TokenId id) const {
  if (loaded_->ends_answer(id)) return {};
  auto decoded = loaded_->tokenizer()->decode({&id, 1});
  return decoded.ok() ? std::move(decoded).value() : std::string();
}

// Adds a token to the answer and finds out whether it is the last.
void GenerationState::push(GeneratedToken& token) {
  const std::string written = bytes_of(token.id);
  token.text = token.inserted ? answer_.insert(written) : answer_.append(written);
  if (loaded_->ends_answer(token.id)) {
    finish_ = FinishReason::kStop;
  } else if (answer_.stopped()) {
    finish_ = FinishReason::kStopString;
  } else if (tokens_.size() + 1 >= options_.max_tokens ||
             prompt_tokens_ + tokens_.size() + 1 >= loaded_->model().config().max_positions) {
    finish_ = FinishReason::kLength;
  }
  if (finished() && !answer_.stopped()) token.text += answer_.finish();
  token.complete = finished() || !answer_.holds();
  text_ += token.text;
  tokens_.push_back(token);
}

Status GenerationState::truncate(std::size_t count) {
  if (count > tokens_.size()) {
    return Error{ErrorCode::kInvalidArgument, "truncate: expected at most the answer's " +
                                                  std::to_string(tokens_.size()) +
                                                  " tokens, found " + std::to_string(count)};
  }
  if (count == tokens_.size()) return {};
  // What is held back of the text depends on all tokens before: it is made again.
  std::vector<GeneratedToken> kept = std::exchange(tokens_, {});
  kept.resize(count);
  answer_ = AnswerText(options_.stop);
  text_.clear();
  finish_.reset();
  for (GeneratedToken& token : kept) push(token);
  ids_.resize(prompt_tokens_ + count);
  cache_.truncate(std::min(cache_.size(), ids_.size() - 1));
  return {};
}

Status GenerationState::insert(std::string_view text) {
  if (finished()) {
    return Error{ErrorCode::kInvalidState,
                 "insert: the answer has ended; truncate it to where the text belongs"};
  }
  QG_TRY(const tokens::Encoding encoding,
         loaded_->tokenizer()->encode(tokens::RenderedText{std::string(text), {}}));
  const std::size_t count = encoding.ids.size();
  if (tokens_.size() + count > options_.max_tokens) {
    return Error{ErrorCode::kTooLong, "insert: the text has " + std::to_string(count) +
                                          " tokens, of max_tokens are left " +
                                          std::to_string(options_.max_tokens - tokens_.size())};
  }
  const std::size_t limit = loaded_->model().config().max_positions;
  if (ids_.size() + count >= limit)
    return too_long("insert: with the text there are", ids_.size() + count, limit);
  for (const tokens::TokenId id : encoding.ids) {
    GeneratedToken token;
    token.id = id;
    token.inserted = true;
    push(token);
    ids_.push_back(id);
  }
  return {};
}

Generated GenerationState::take() && {
  return {std::move(text_), std::move(tokens_), finish(), prompt_tokens_};
}

// Nothing for an answer that has ended.
model::Sequence GenerationState::unread(std::span<float> hidden) {
  if (finished()) return {{}, &cache_, {}};
  if (cache_.size() == 0) loaded_->prefix_cache().fetch(ids_, cache_);
  return {std::span(ids_).subspan(cache_.size()), &cache_, hidden};
}

Result<GeneratedToken> GenerationState::choose(std::span<const float> logits) const {
  const double uniform = Random(options_.seed, tokens_.size()).uniform();
  GeneratedToken token;
  QG_TRY(token.id, choose_token(logits, options_, ids_, uniform));
  const LogProbabilities own(logits);
  token.logprob = own.of(token.id);
  token.top = own.top(options_.logprobs);
  return token;
}

Result<GeneratedToken> GenerationState::next() {
  GenerationState* self = this;
  return std::move(next({&self, 1}).front());
}

std::vector<Result<GeneratedToken>> GenerationState::next(
    std::span<GenerationState* const> states) {
  if (states.empty()) return {};
  GenerationState& first = *states.front();
  const Loaded& loaded = *first.loaded_;
  const std::size_t width = loaded.model().config().hidden_size;
  const std::size_t vocabulary = loaded.model().config().vocabulary_size;
  first.hidden_.assign(states.size() * width, 0.0f);
  first.logits_.resize(states.size() * vocabulary);
  const std::span<float> hidden = first.hidden_, logits = first.logits_;
  std::vector<model::Sequence> batch;
  for (std::size_t i = 0; i < states.size(); ++i)
    batch.push_back(states[i]->unread(hidden.subspan(i * width, width)));
  std::vector<Status> read = loaded.scheduler().read(batch, first.workspace_);
  loaded.model().lm_logits(hidden, first.workspace_, loaded.pool(), logits);

  std::vector<Result<GeneratedToken>> results(states.size(), GeneratedToken{});
  loaded.pool().parallel_for(states.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (read[i].ok()) results[i] = states[i]->choose(logits.subspan(i * vocabulary, vocabulary));
    }
  });
  for (std::size_t i = 0; i < states.size(); ++i) {
    GenerationState& state = *states[i];
    if (!read[i].ok()) {
      results[i] = std::move(read[i]).error();
    } else if (state.finished()) {
      results[i] = Error{ErrorCode::kInvalidState, "next: the answer has ended"};
    }
    if (!results[i].ok()) {
      state.cache_.truncate(std::min(state.cache_.size(), state.ids_.size() - 1));
      continue;
    }
    if (state.tokens_.empty()) loaded.prefix_cache().offer(state.ids_, state.cache_);
    state.push(*results[i]);
    state.ids_.push_back(results[i]->id);
  }
  return results;
}

}  // namespace qwen3guard::engine
