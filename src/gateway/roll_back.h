// Flagged answers written anew by the upstream, which can neither forget nor be told to (CARE,
// docs/intervention.md).
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace qwen3guard::gateway {

/// How an upstream is told to go on with an answer that has begun.
enum class Prefill {
  kNone,     // it cannot: it is asked for a criticism, and to go on from there
  kMessage,  // by a last message of the assistant's
  kVllm,     // the same, with vLLM's "continue_final_message"
  kPrefix,   // the same, with "prefix" in the message (DeepSeek, Mistral)
};

struct RollBackOptions {
  /// The newest tokens of an answer, which are not sent yet; at least 1.
  std::size_t buffer = 40;
  std::size_t retries = 5;  // of one answer
  /// When they are used up, or there is no way back: the operator's text follows what was sent.
  bool then_replace = false;
  Prefill prefill = Prefill::kNone;
};

/// What the rest of an answer begins with where the upstream goes on from given text: CARE's
/// shallow introspection. Empty for Prefill::kNone, where it writes its criticism itself.
std::string_view rest_begins_with(Prefill prefill);

/// The request for the rest of an answer, of which `released` was sent and `flagged`, which begins
/// with it, was not all harmless. `request` is the body of the first one.
/// REQUIRES: parse_chat_request() took it, and its last message is not the assistant's.
std::string request_for_rest(std::string_view request, std::string_view flagged,
                             std::string_view released, Prefill prefill);

/// "retries", "wait_tokens" and "additional_wait_tokens" of docs/intervention.md.
void add_waiting(const RollBackOptions& options, std::size_t retries, nlohmann::ordered_json& json);

}  // namespace qwen3guard::gateway
