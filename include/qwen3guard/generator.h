// Text from any Qwen3 causal LM: whole answers, many at once, or token by token with roll-back.
//
//   auto generator = qwen3guard::Generator::load("Qwen3-0.6B");
//   auto answer = generator->generate({{Role::kUser, "Hi"}}, {.temperature = 0.7f, .seed = 1});
//   answer->text;
//
//   auto generation = generator->open({{Role::kUser, "Hi"}}, {.max_tokens = 100});
//   while (!generation->finished()) {
//     auto token = generation->next();      // or an error
//     if (token->text == " bomb") {
//       generation->truncate(generation->tokens().size() - 1);
//       generation->insert(" cake");        // the model goes on from here
//     }
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/conversation.h"
#include "qwen3guard/result.h"
#include "qwen3guard/weight_format.h"

namespace qwen3guard {

namespace engine {
class GenerationState;
class Loaded;
}  // namespace engine

/// What the model is given to read.
enum class PromptFormat {
  kChat,            // ChatML, the assistant's turn opened: the model may think first
  kChatNoThinking,  // the same with an empty thought, after which it answers at once
  kGuard,           // the policy and question of the Qwen3Guard-Gen models
};

struct GenerateOptions {
  /// Tokens of the answer, those that close it and those inserted included; at least 1. An answer
  /// also ends where the model's positions do.
  std::size_t max_tokens = 512;
  /// 0: greedy, the most probable token (the lower id of two). Else tokens are drawn; first, in
  /// this order, as Hugging Face transformers does it:
  /// 1. repetition_penalty: the logit of each token of the prompt or the answer so far is divided
  /// by
  ///    it if positive, else multiplied (greedy too); 1: none;
  /// 2. temperature: logits are divided by it;
  /// 3. top_k: only the k most probable tokens stay (of equal ones the lower ids); 0: all;
  /// 4. top_p: only the most probable tokens stay whose predecessors have less than top_p together.
  float temperature = 0.0f;
  float top_p = 1.0f;
  std::size_t top_k = 0;
  float repetition_penalty = 1.0f;
  /// The draw for token i depends on the seed and on i alone: not on the machine's threads, nor on
  /// who else is generated for, nor on what was rolled back.
  std::uint64_t seed = 0;
  /// The answer ends where one of these is complete; neither it nor what follows is in the text.
  std::vector<std::string> stop{};
  /// How many of the most probable tokens to report beside the chosen one.
  std::size_t logprobs = 0;
  PromptFormat prompt = PromptFormat::kChat;
};

enum class FinishReason {
  kStop,        // the model closed its turn
  kLength,      // max_tokens, or the model's positions, are used up
  kStopString,  // one of GenerateOptions::stop
};
/// "stop", "length", "stop_string".
std::string_view finish_reason_name(FinishReason reason);

struct TokenLogprob {
  std::int32_t id = 0;
  /// Natural logarithm of the model's own probability: log_softmax of its logits, before penalty,
  /// temperature and cuts.
  float logprob = 0.0f;
};

/// One token of an answer, the closing <|im_end|> or <|endoftext|> included.
struct GeneratedToken {
  std::int32_t id = 0;
  /// What became certain of the answer's text with this token: whole characters (U+FFFD for bytes
  /// that are none), and nothing that could still become a stop string.
  std::string text;
  float logprob = 0.0f;           // as in TokenLogprob; 0 where inserted
  std::vector<TokenLogprob> top;  // GenerateOptions::logprobs of them, most probable first
  bool inserted = false;          // by Generation::insert
  /// No text of the tokens up to here waits for later ones: the place for a clean cut.
  bool complete = true;
};

struct Generated {
  std::string text;
  std::vector<GeneratedToken> tokens;
  FinishReason finish = FinishReason::kStop;
  std::size_t prompt_tokens = 0;
};

struct GenerateRequest {
  Conversation conversation;
  GenerateOptions options;
};

struct GeneratorOptions {
  int threads = 0;  // 0: one for each core
  WeightFormat weights = WeightFormat::kStored;
  /// Memory for keys and values of prompt beginnings that conversations share; 0: none.
  std::size_t prefix_cache_bytes = std::size_t{64} << 20;
  /// Conversations that generate(requests) has under way at a time; at least 1.
  std::size_t batch = 16;
};

/// One answer under way. Owns its KV cache; use it from one thread at a time, different ones from
/// different threads. After an error nothing has changed, and the call may be tried again.
class Generation {
 public:
  Generation(Generation&&) noexcept;
  Generation& operator=(Generation&&) noexcept;
  ~Generation();

  bool finished() const;
  /// Chooses the next token. Errors: kInvalidState once finished; kNonFinite (broken weights);
  /// kOverloaded.
  Result<GeneratedToken> next();

  /// Forgets the tokens from `count` on, their keys and values too, also after the end. What
  /// follows is what a fresh run that began with the same tokens would give. kInvalidArgument if
  /// there are fewer.
  Status truncate(std::size_t count);
  /// Writes `text` into the answer as if the model had said it; it becomes tokens by itself, never
  /// control tokens, and stop strings are not looked for in it. Errors: kInvalidUtf8, kTooLong,
  /// kInvalidState once finished (truncate first).
  Status insert(std::string_view text);
  /// Draws differently from here on: after truncate(), the way to another continuation.
  void reseed(std::uint64_t seed);

  const std::vector<GeneratedToken>& tokens() const;
  /// The text of all tokens so far.
  const std::string& text() const;
  /// REQUIRES: finished().
  FinishReason finish() const;
  std::size_t prompt_tokens() const;

 private:
  friend class Generator;
  explicit Generation(std::unique_ptr<engine::GenerationState> state);
  std::unique_ptr<engine::GenerationState> state_;
};

/// A loaded causal LM; const, cheap to copy, shared between threads.
class Generator {
 public:
  using OnToken = std::function<void(const GeneratedToken&)>;

  /// `path` is a directory as published (Qwen3ForCausalLM) or a .gguf file. Quantized weights cost
  /// a packed copy of the LM head (docs/performance.md). Errors: kUnsupported for a Stream model,
  /// which has no LM head; those of the readers, naming the file.
  static Result<Generator> load(const std::filesystem::path& path,
                                const GeneratorOptions& options = {});

  std::size_t max_positions() const;

  /// Begins an answer to the conversation, whose last message is the user's (kGuard: or the
  /// assistant's, which is judged). Errors: kInvalidArgument (an option; says which),
  /// kInvalidConversation, kInvalidUtf8, kTooLong (no position is left for an answer).
  Result<Generation> open(const Conversation& conversation, const GenerateOptions& options) const;

  /// The whole answer; `on_token` is told of each token as it is chosen. Errors: those of open()
  /// and next().
  Result<Generated> generate(const Conversation& conversation, const GenerateOptions& options,
                             const OnToken& on_token = nullptr) const;

  /// Answers many, in shared passes over the weights; each gets what it would get alone, or its own
  /// error. When one ends, the next takes its place.
  std::vector<Result<Generated>> generate(std::span<const GenerateRequest> requests) const;

  /// The next token of each of several answers, in one pass. REQUIRES: distinct, opened by this
  /// generator. Errors: those of Generation::next.
  std::vector<Result<GeneratedToken>> next(std::span<Generation* const> generations) const;

 private:
  explicit Generator(std::shared_ptr<const engine::Loaded> loaded, std::size_t batch);
  std::shared_ptr<const engine::Loaded> loaded_;
  std::size_t batch_;
};

}  // namespace qwen3guard
