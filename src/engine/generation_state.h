// An answer under way: ids read and unread, keys and values, text.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answer_text.h"
#include "engine/loaded.h"
#include "qwen3guard/generator.h"

namespace qwen3guard::engine {

/// Implements qwen3guard::Generation; see there for the contracts.
///
/// `ids_` is the prompt and the answer, `cache_` holds a beginning of it, always shorter: the state
/// that the next token is chosen from is that of the last id, which a step reads with whatever else
/// is unread (at first the prompt, then the newest token, or what was inserted). So a roll-back
/// only shortens both.
class GenerationState {
 public:
  static Result<std::unique_ptr<GenerationState>> open(std::shared_ptr<const Loaded> loaded,
                                                       const Conversation& conversation,
                                                       const GenerateOptions& options);

  bool finished() const { return finish_.has_value(); }
  FinishReason finish() const;
  Status truncate(std::size_t count);
  Status insert(std::string_view text);
  void reseed(std::uint64_t seed) { options_.seed = seed; }

  const std::vector<GeneratedToken>& tokens() const { return tokens_; }
  const std::string& text() const { return text_; }
  std::size_t prompt_tokens() const { return prompt_tokens_; }
  Generated take() &&;

  Result<GeneratedToken> next();
  /// The next token of each of several answers of one model, read in one pass. REQUIRES: distinct.
  static std::vector<Result<GeneratedToken>> next(std::span<GenerationState* const> states);

 private:
  GenerationState(std::shared_ptr<const Loaded> loaded, const GenerateOptions& options,
                  std::vector<tokens::TokenId> prompt);
  model::Sequence unread(std::span<float> hidden);
  Result<GeneratedToken> choose(std::span<const float> logits) const;
  void push(GeneratedToken& token);
  std::string bytes_of(tokens::TokenId id) const;

  std::shared_ptr<const Loaded> loaded_;
  GenerateOptions options_;
  model::KvCache cache_;
  std::vector<tokens::TokenId> ids_;
  std::size_t prompt_tokens_;
  std::vector<GeneratedToken> tokens_;
  AnswerText answer_;
  std::string text_;
  std::optional<FinishReason> finish_;

  // Memory of a step, reused; of the steps of several answers, that of the first is.
  model::Workspace workspace_;
  std::vector<float> hidden_, logits_;
};

}  // namespace qwen3guard::engine
