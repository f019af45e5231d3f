// The chat templates of the checkpoints, rendered with the spans that may hold control tokens.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "qwen3guard/conversation.h"
#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::tokens {

/// A rendered conversation and where its last message's content lies in it (for byte offsets:
/// template rules may strip newlines from content, so `content_source` maps back to the original
/// string).
struct RenderedConversation : RenderedText {
  /// The rendered bytes that came from the last message's content.
  ByteSpan last_content;
  /// The byte of the original content with which `last_content` starts.
  std::size_t content_source = 0;
  /// Rendered bytes of each message's turn. ChatML: from "<|im_start|>" to after "<|im_end|>\n", so
  /// a turn begins with a control token and a session can cut the ids there. Gen: the turn inside
  /// the policy's frame, prefix included.
  std::vector<ByteSpan> turns;
};

/// The control tokens that the templates write. A Gen prompt holds all of them, and so does ChatML
/// whenever an answer to a query is last: its turn opens with a think block, thinking or not.
inline constexpr std::string_view kTurnStart = "<|im_start|>", kTurnEnd = "<|im_end|>";
inline constexpr std::string_view kThinkStart = "<think>", kThinkEnd = "</think>";
inline constexpr std::array kControlTokens = {kTurnStart, kTurnEnd, kThinkStart, kThinkEnd};

/// kUnsupported, naming what is missing, if `tokenizer` has not all of kControlTokens.
Status check_control_tokens(const Tokenizer& tokenizer);

struct ChatMlOptions {
  bool add_generation_prompt = false;
  bool enable_thinking = true;
  /// Follow the template where it reads tags out of content: an assistant's "…</think>…" without
  /// reasoning_content is cut into thinking and answer, and a user's
  /// "<tool_response>…</tool_response>" is no query. Only for text that we trust (and to reproduce
  /// the reference): with it, content decides where our own tags go and what is dropped. Off, tags
  /// in content are ordinary text and nothing of an answer is ever left out.
  bool parse_think_tags = false;
};

/// Qwen3's ChatML (Stream models), with its rules for thinking: the answer after the last query
/// always has a think block if it is the last message, or else if it has thinking; earlier turns
/// lose theirs. Only the tags that the template writes are in `control`; for ids as the reference
/// gives them when content holds control strings, encode `text` with `parse_added_tokens`. Errors:
/// kInvalidConversation (no messages; reasoning_content that is not an assistant's).
Result<RenderedConversation> render_chatml(const Conversation& conversation,
                                           const ChatMlOptions& options);

/// The fixed pieces of an assistant turn that arrives as a stream. Joined in order with the
/// streamed text they are what render_chatml writes for that turn as the last message, provided
/// that the text between them is stripped as the template strips it: newlines at both ends of the
/// thinking and at the start of the answer go.
RenderedText chatml_answer_opening();      // <|im_start|>assistant\n<think>\n\n</think>\n\n
RenderedText chatml_thinking_opening();    // <|im_start|>assistant\n<think>\n
RenderedText chatml_thinking_to_answer();  // \n</think>\n\n
RenderedText chatml_turn_closing();        // <|im_end|>\n

enum class GenTemplate {
  kClean,       // every turn has its own prefix; a system message is named as such
  kCompatible,  // the shipped template, quirks included
};

/// The Gen models' single user turn with the policy, ending in the opened, empty-thought assistant
/// turn. The variant (query or response) follows the last message's role. Thinking is not shown to
/// the model. Errors: kInvalidConversation (no messages; the last message is the system's; in
/// compatible mode a system message that is not the first).
Result<RenderedConversation> render_gen(const Conversation& conversation, GenTemplate flavour);

}  // namespace qwen3guard::tokens
