// The chat templates of the checkpoints, rendered with the spans that may hold control tokens.
#pragma once

#include "qwen3guard/conversation.h"
#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::tokens {

struct ChatMlOptions {
  bool add_generation_prompt = false;
  bool enable_thinking = true;
};

/// A rendered conversation and where its last message's content lies in it (for byte offsets: template
/// rules may strip newlines from content, so `content_source` maps back to the original string).
struct RenderedConversation : RenderedText {
  /// The rendered bytes that came from the last message's content.
  ByteSpan last_content;
  /// The byte of the original content with which `last_content` starts.
  std::size_t content_source = 0;
  /// Rendered bytes of each message's turn, from "<|im_start|>" to after "<|im_end|>\n".
  std::vector<ByteSpan> turns;
};

/// Qwen3's ChatML (Stream models), with its rules for thinking. Source: the Qwen3 chat template.
/// `trusted_content` makes control strings in content count (golden tests only).
Result<RenderedConversation> render_chatml(const Conversation& conversation, const ChatMlOptions& options);

enum class GenTemplate {
  kClean,       // every turn has its own prefix; a system message is named as such
  kCompatible,  // the shipped template, quirks included
};

/// The Gen models' single user turn with the policy, ending in the opened, empty-thought assistant turn.
/// The variant (query or response) follows the last message's role.
Result<RenderedConversation> render_gen(const Conversation& conversation, GenTemplate flavour);

}  // namespace qwen3guard::tokens
