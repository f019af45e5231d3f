// `stream --demo`: built-in conversations, typed at a readable pace.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "apps/output.h"
#include "apps/terminal.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::apps {

struct DemoConversation {
  std::string_view title;
  std::string_view prompt;
  std::string_view thinking;  // may be empty
  std::string_view answer;
};

/// Safe, borderline and unsafe, in several languages, one with thinking. Unsafe ones are worded
/// mildly and instruct nobody.
std::span<const DemoConversation> demo_conversations();

/// Shows them all. `pace`: milliseconds between pieces of text, none: a few seconds a conversation.
Status run_demo(const Guard& guard, const Policy& policy, Output& output, Palette palette,
                std::optional<int> pace);

}  // namespace qwen3guard::apps
