// One line of JSONL in: docs/formats/moderation.md.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "qwen3guard/conversation.h"
#include "qwen3guard/result.h"

namespace qwen3guard::formats {

/// What a line held. The id is there whenever it could be read, also where the rest is wrong.
struct ConversationLine {
  std::optional<nlohmann::json> id;  // a string or a number
  Result<Conversation> conversation;
};

/// Parses {"id"?, "messages": [{"role", "content" (, "reasoning_content")}]}. Other keys beside
/// "messages" are ignored; in a message they are an error, because text in them would go unjudged.
/// Errors: kInvalidJson, kInvalidUtf8, kTooLong, kInvalidConversation; they name the message. Never
/// throws.
ConversationLine parse_conversation_line(std::string_view line);

}  // namespace qwen3guard::formats
