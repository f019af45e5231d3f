// Conversations in the shape of OpenAI's chat messages.
#pragma once

#include "qwen3guard/conversation.h"
#include "qwen3guard/result.h"
#include "server/json_field.h"

namespace qwen3guard::server {

/// "content" as a string or a list of {"type": "text", "text"} parts, joined by newlines. Errors:
/// kInvalidArgument; kUnsupported for parts that are not text, because they would go unjudged.
Result<std::string> parse_content(const JsonField& content);

/// What the function calls of an assistant's message say, one a line: name(arguments). A missing
/// field says nothing.
Result<std::string> parse_tool_calls(const JsonField& calls);

/// Roles: developer counts as system; tool and function as user, because what they bring reaches
/// the model from outside. Function calls join the assistant's content. Text in keys that we do not
/// know would go unjudged: they are an error unless empty.
/// kIgnore is for callers that send all texts once more beside the messages.
enum class UnknownKeys { kRefuse, kIgnore };
Result<Conversation> parse_messages(const JsonField& messages,
                                    UnknownKeys unknown = UnknownKeys::kRefuse);

}  // namespace qwen3guard::server
