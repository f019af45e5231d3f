// What a request for a chat completion asks, as far as the guard needs it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "qwen3guard/conversation.h"
#include "qwen3guard/result.h"

namespace qwen3guard::gateway {

struct ChatRequest {
  Conversation prompt;             // its last message is a user's
  std::optional<Message> prefill;  // the beginning of the answer, when the client wrote it
  std::size_t choices = 1;
  std::string model;  // empty where none is named
};

/// Errors: kUnsupported for what cannot be judged (images); kInvalidJson, kInvalidUtf8,
/// kInvalidArgument, kTooLong.
Result<ChatRequest> parse_chat_request(std::string_view body, std::size_t most_choices);

/// The path that servers make of `path`, which may be written in many ways: %-codes decoded, empty
/// parts and a slash at the end dropped. Nothing for paths with "..", "." or a NUL.
std::optional<std::string> canonical_path(std::string_view path);
/// Whether the gateway judges what goes there. Also under other prefixes, as Azure has them.
bool is_chat_path(std::string_view canonical);

}  // namespace qwen3guard::gateway
