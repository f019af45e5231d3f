#include "tokens/chat_template.h"

#include <algorithm>
#include <string>

#include "base/try.h"
#include "tokens/rendering.h"

namespace qwen3guard::tokens {
namespace {

std::string_view strip_left(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
  return text;
}
std::string_view strip_right(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
  }
  return "";
}

/// What an assistant's message says and thinks; views of the message.
struct Answer {
  std::string_view content;
  std::string_view reasoning;
};

Answer split_answer(const Message& message, bool parse_think_tags) {
  const std::string_view content = message.content;
  if (message.reasoning_content) return {content, *message.reasoning_content};
  const std::size_t first = content.find(kThinkEnd);
  if (!parse_think_tags || first == std::string_view::npos) return {content, {}};
  std::string_view reasoning = strip_right(content.substr(0, first));
  if (const std::size_t open = reasoning.rfind(kThinkStart); open != std::string_view::npos) {
    reasoning.remove_prefix(open + kThinkStart.size());
  }
  return {strip_left(content.substr(content.rfind(kThinkEnd) + kThinkEnd.size())),
          strip_left(reasoning)};
}

/// The message after which answers keep their thinking: the last query of the user, or the last
/// message if there is none.
std::size_t last_query(const Conversation& conversation, bool parse_tags) {
  for (std::size_t i = conversation.size(); i-- > 0;) {
    const Message& message = conversation[i];
    if (message.role != Role::kUser) continue;
    if (parse_tags && message.content.starts_with("<tool_response>") &&
        message.content.ends_with("</tool_response>")) {
      continue;
    }
    return i;
  }
  return conversation.size() - 1;
}

void write_empty_thought(Rendering& out) {
  out.control(kThinkStart);
  out.text("\n\n");
  out.control(kThinkEnd);
  out.text("\n\n");
}

}  // namespace

Status check_control_tokens(const Tokenizer& tokenizer) {
  std::string all, missing;
  for (const std::string_view token : kControlTokens) {
    (all += all.empty() ? "" : ", ") += token;
    if (!tokenizer.added_token(token)) (missing += missing.empty() ? "" : ", ") += token;
  }
  if (missing.empty()) return {};
  return Error{ErrorCode::kUnsupported,
               "the tokenizer has no added token " + missing +
                   "; expected all control tokens that the chat template writes: " + all +
                   "; use the tokenizer files of a Qwen3 checkpoint"};
}

Result<RenderedConversation> render_chatml(const Conversation& conversation,
                                           const ChatMlOptions& options) {
  if (conversation.empty()) {
    return Error{ErrorCode::kInvalidConversation, "the conversation has no messages"};
  }
  const std::size_t query = last_query(conversation, options.parse_think_tags);
  Rendering out;
  for (std::size_t i = 0; i < conversation.size(); ++i) {
    const Message& message = conversation[i];
    const bool is_last = i + 1 == conversation.size();
    if (message.role != Role::kAssistant && message.reasoning_content &&
        !message.reasoning_content->empty()) {
      return Error{ErrorCode::kInvalidConversation,
                   "message " + std::to_string(i) + " (" + std::string(role_name(message.role)) +
                       ") has reasoning_content, which only an assistant's message can have"};
    }
    const std::size_t begin = out.size();
    out.control(kTurnStart);
    out.text(role_name(message.role));
    out.text("\n");
    std::string_view content = message.content;
    if (message.role == Role::kAssistant) {
      const Answer answer = split_answer(message, options.parse_think_tags);
      content = answer.content;
      if (i > query && (is_last || !answer.reasoning.empty())) {
        out.control(kThinkStart);
        out.text("\n");
        out.text(strip_right(strip_left(answer.reasoning)));
        out.text("\n");
        out.control(kThinkEnd);
        out.text("\n\n");
        content = strip_left(content);
      }
    }
    const ByteSpan span = out.text(content);
    if (is_last) {
      out.last_content(span, static_cast<std::size_t>(content.data() - message.content.data()));
    }
    out.control(kTurnEnd);
    out.text("\n");
    out.end_turn(begin);
  }
  if (options.add_generation_prompt) {
    out.control(kTurnStart);
    out.text("assistant\n");
    if (!options.enable_thinking) write_empty_thought(out);
  }
  return std::move(out).take();
}

RenderedText chatml_answer_opening() {
  Rendering out;
  out.control(kTurnStart);
  out.text("assistant\n");
  write_empty_thought(out);
  return std::move(out).take();
}

RenderedText chatml_thinking_opening() {
  Rendering out;
  out.control(kTurnStart);
  out.text("assistant\n");
  out.control(kThinkStart);
  out.text("\n");
  return std::move(out).take();
}

RenderedText chatml_thinking_to_answer() {
  Rendering out;
  out.text("\n");
  out.control(kThinkEnd);
  out.text("\n\n");
  return std::move(out).take();
}

RenderedText chatml_turn_closing() {
  Rendering out;
  out.control(kTurnEnd);
  out.text("\n");
  return std::move(out).take();
}

}  // namespace qwen3guard::tokens
