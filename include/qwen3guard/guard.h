// The guard: load a checkpoint once, judge conversations whole or while they are being written.
//
//   auto guard = qwen3guard::Guard::load("models/qwen3guard-stream-mini");
//   auto session = guard->open({{Role::kUser, "How do I whittle a spoon?"}}, Policy::strict());
//   session->prompt().decision;                 // the prompt's verdict
//   auto tokens = session->append("First, ");   // verdicts of the tokens that became certain
//   session->finish();
//   session->response().decision;
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/conversation.h"
#include "qwen3guard/policy.h"
#include "qwen3guard/result.h"
#include "qwen3guard/verdict.h"
#include "qwen3guard/weight_format.h"

namespace qwen3guard {

namespace engine {
class Loaded;
class SessionState;
}  // namespace engine

enum class Mode {
  kStream,  // Qwen3ForGuardModel: four heads, a verdict at every token
  kGen,     // Qwen3ForCausalLM: the verdict is written as text
};

/// How a Gen model's verdict is read.
enum class GenMethod {
  kScore,   // force "Safety:" and compare the labels: one pass, full probabilities
  kGreedy,  // write the answer as the reference does and parse it strictly
};

/// What happens when a response outgrows max_position_embeddings.
enum class Overflow {
  kError,  // the call fails with kTooLong
  kSlide,  // the conversation before the response and the newest half of the rest are read again;
           // the verdict says so (window_slid)
};

/// How much may wait for one guard, and how much one pass over the weights takes.
struct QueueLimits {
  std::size_t step_tokens = 256;          // tokens of all conversations in one pass
  std::size_t conversations = 1024;       // waiting at a time; one more is an error, kOverloaded
  std::size_t waiting_tokens = 1u << 20;  // of all of them
};

struct GuardOptions {
  int threads = 0;  // 0: one for each core
  GenMethod gen_method = GenMethod::kScore;
  Overflow overflow = Overflow::kError;
  WeightFormat weights = WeightFormat::kStored;
  /// Memory for keys and values of prompt beginnings that conversations share; 0: none.
  std::size_t prefix_cache_bytes = std::size_t{64} << 20;
  /// Limit on the keys and values of all conversations together, those of the prefix cache
  /// included; reading on fails with kOverloaded then and leaves the conversation as it was. 0: no
  /// limit.
  std::size_t kv_memory_bytes = 0;
  /// REQUIRES: step_tokens >= 1.
  QueueLimits queue = {};
};

/// One judged token of a response.
struct JudgedToken {
  std::size_t index = 0;  // from 0 in the response; thinking first, if any
  std::int32_t id = 0;
  bool thinking = false;
  /// Bytes of the original text that the token stands for; empty for the closing <|im_end|>.
  std::size_t byte_begin = 0;
  std::size_t byte_end = 0;
  std::size_t character = 0;  // code points before byte_begin
  TokenVerdict verdict;
  TokenLabel label;  // what the policy makes of it, before debouncing
};

/// One conversation that is being judged while its answer is written (Stream models). Owns its KV
/// cache; use it from one thread at a time, different sessions from different threads. After an
/// error in append() or finish() the response cannot be judged further: treat it as not safe.
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// The verdict on the last user message, read at its <|im_end|>.
  const Verdict& prompt() const;

  /// Takes more text of the answer, cut anywhere (also inside a character), and judges the tokens
  /// that no later text can change. Errors: kInvalidUtf8, kTooLong, kInvalidState (finished),
  /// kNonFinite.
  Result<std::vector<JudgedToken>> append(std::string_view text);
  /// The same for the thinking that precedes the answer. kInvalidState once the answer has begun.
  Result<std::vector<JudgedToken>> append_thinking(std::string_view text);
  /// Takes the answer as token ids of this checkpoint's tokenizer instead of text; not both in one
  /// response. Control tokens are refused (kInvalidArgument).
  Result<std::vector<JudgedToken>> append_ids(std::span<const std::int32_t> ids);
  /// Ends the answer: judges what was held back and the closing <|im_end|>.
  Result<std::vector<JudgedToken>> finish();

  /// The response's verdict so far. REQUIRES: nothing; an empty response is Safe.
  Verdict response() const;
  /// All tokens judged so far.
  std::span<const JudgedToken> tokens() const;
  /// Bytes of the answer received but not judged yet, because later text may change their tokens.
  std::size_t held_bytes() const;

  /// Forgets the answer from judged token `index` on, also after finish(). Tokens before it whose
  /// text could merge with a new continuation are held back again, and judged anew with it.
  Status roll_back(std::size_t index);
  /// Forgets the answer's text from byte `bytes` on, which may be anywhere in it, also after
  /// finish(): what follows is judged as if no more had ever come. kInvalidArgument if there is
  /// less; kInvalidState for an answer given as ids.
  Status truncate(std::size_t bytes);

  /// Starts the next exchange: the finished answer joins the conversation, `message` is judged as
  /// its prompt. Equals opening a session with the whole conversation. kInvalidState before
  /// finish().
  Status next_turn(Message message);

 private:
  friend class Guard;
  explicit Session(std::unique_ptr<engine::SessionState> state);
  std::unique_ptr<engine::SessionState> state_;
};

/// A loaded checkpoint; const, cheap to copy, shared between threads.
class Guard {
 public:
  /// `path` is a directory with config.json, *.safetensors and tokenizer.json as published, or a
  /// .gguf file. Errors name the
  /// file, what was expected and what was found.
  static Result<Guard> load(const std::filesystem::path& path, const GuardOptions& options = {});

  Mode mode() const;
  std::size_t max_positions() const;
  /// The checkpoint's own name for a category, else the official one.
  std::string category_label(Target target, Category category) const;

  /// Judges the last message of a conversation: the prompt if it is the user's, the response if it
  /// is the assistant's.
  Result<Verdict> moderate(const Conversation& conversation, const Policy& policy) const;

  /// Opens a conversation whose last message is the user's. kUnsupported for Gen models.
  Result<Session> open(const Conversation& conversation, const Policy& policy) const;

 private:
  explicit Guard(std::shared_ptr<const engine::Loaded> loaded);
  std::shared_ptr<const engine::Loaded> loaded_;
};

}  // namespace qwen3guard
