// What a choice of a chat completion says: every text in it that a model may have written.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "qwen3guard/result.h"

namespace qwen3guard::gateway {

struct ChoiceText {
  std::string thinking_key;  // what the upstream calls it; empty without thinking
  std::string thinking;
  std::string content;
  /// Everything else: function calls, refusals, keys that we do not know. Sent whole or not at all.
  std::string other;
  /// Bytes of the tokens in "logprobs": they must not leave before the text that they spell.
  std::size_t logprob_bytes = 0;
  bool finishes = false;  // has a finish_reason
};

/// Writes function calls as text, as server::parse_tool_calls does: name(arguments), a line each.
/// Calls of a stream come in pieces.
class CallText {
 public:
  /// The text that `call`, a whole one or a piece of one, adds.
  std::string add(const nlohmann::json& call, bool first_text);
  /// What ends the last call.
  std::string close();

 private:
  std::optional<nlohmann::json> open_;  // index of the call under way
};

/// Reads a choice; `body` is "delta" or "message". `something_said`: the answer has text already.
/// Errors (kInvalidArgument): shapes that are not those of a chat completion.
Result<ChoiceText> read_choice(const nlohmann::json& choice, const char* body, CallText& calls,
                               bool something_said);

/// What may always be sent of that which stands around the choices: ids, names and numbers.
nlohmann::json frame_of(const nlohmann::json& chunk);

/// The texts around the choices that are no names, so that a sentence could hide in them.
std::string text_around_choices(const nlohmann::json& chunk);

}  // namespace qwen3guard::gateway
