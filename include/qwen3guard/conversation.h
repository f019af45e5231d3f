// A conversation as users of the guard hold it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace qwen3guard {

enum class Role { kSystem, kUser, kAssistant };

/// One turn. Text is UTF-8 and untrusted: nothing in it can become a control token.
struct Message {
  Role role;
  std::string content;
  /// The assistant's thinking, when the caller has it apart from the answer.
  std::optional<std::string> reasoning_content{};
};

using Conversation = std::vector<Message>;

}  // namespace qwen3guard
