#include "server/chat_messages.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"

namespace qwen3guard::server {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<std::string_view, Role>, 6> kRoles = {{
    {"system", Role::kSystem},
    {"developer", Role::kSystem},
    {"user", Role::kUser},
    {"tool", Role::kUser},
    {"function", Role::kUser},
    {"assistant", Role::kAssistant},
}};

Result<Role> parse_role(const JsonField& field) {
  QG_TRY(const std::string name, field.text());
  for (const auto& [known, role] : kRoles) {
    if (name == known) return role;
  }
  return field.invalid("expected system, developer, user, assistant, tool or function, found " +
                       bytes::quote(name, 40));
}

// Names and ids are not judged, so they must not have room for a sentence.
Status check_identifier(const JsonField& field) {
  if (field.missing()) return {};
  QG_TRY(const std::string text, field.text());
  const bool plain = text.size() <= 128 && std::none_of(text.begin(), text.end(), [](char c) {
                       return static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
                     });
  if (!plain) return field.invalid("expected a name of at most 128 bytes without white space");
  return {};
}

// json::empty() calls no string empty.
bool empty(const json& value) { return value.empty() || value == ""; }

Status check_keys(const JsonField& message) {
  static constexpr std::array<std::string_view, 6> kKnown = {
      "role", "content", "reasoning_content", "tool_calls", "name", "tool_call_id"};
  for (const auto& [key, value] : message->items()) {
    if (empty(value) || std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end()) continue;
    return message.invalid("unknown key " + bytes::quote(key, 40) +
                           ", whose text would go unjudged; put it into content");
  }
  QG_CHECK_OK(check_identifier(message["name"]));
  return check_identifier(message["tool_call_id"]);
}

void append_line(std::string& text, std::string_view line) {
  if (!text.empty() && !line.empty()) text += '\n';
  text += line;
}

Result<Message> parse_message(const JsonField& field, UnknownKeys unknown) {
  QG_CHECK_OK(field.expect_object());
  if (unknown == UnknownKeys::kRefuse) QG_CHECK_OK(check_keys(field));
  QG_TRY(const Role role, parse_role(field["role"]));
  Message message{role, ""};
  QG_TRY(const std::string calls, parse_tool_calls(field["tool_calls"]));
  // A message that only calls functions has no content.
  if (calls.empty() || !field["content"].missing()) {
    QG_TRY(message.content, parse_content(field["content"]));
  }
  append_line(message.content, calls);
  const JsonField thinking = field["reasoning_content"];
  if (!thinking.missing()) {
    QG_TRY(std::string text, thinking.text());
    if (role != Role::kAssistant && !text.empty()) {
      return thinking.invalid("only an assistant thinks");
    }
    if (role == Role::kAssistant) message.reasoning_content = std::move(text);
  }
  return message;
}

}  // namespace

Result<std::string> parse_content(const JsonField& content) {
  if (!content.missing() && content->is_string()) return content.text();
  if (content.missing() || !content->is_array()) return content.expected("a string or a list");
  QG_TRY(const std::vector<JsonField> parts, content.items());
  if (parts.empty()) return content.invalid("the list is empty: there is nothing to judge");
  std::string text;
  for (const JsonField& part : parts) {
    QG_CHECK_OK(part.expect_object());
    QG_TRY(const std::string type, part["type"].text());
    const char* key = type == "text" ? "text" : type == "refusal" ? "refusal" : nullptr;
    if (key == nullptr) {
      Error error = part["type"].invalid("only text is judged, found " + bytes::quote(type, 40));
      error.code = ErrorCode::kUnsupported;
      return error;
    }
    QG_TRY(const std::string piece, part[key].text());
    append_line(text, piece);
  }
  return text;
}

Result<std::string> parse_tool_calls(const JsonField& calls) {
  std::string text;
  if (calls.missing()) return text;
  QG_TRY(const std::vector<JsonField> items, calls.items());
  for (const JsonField& call : items) {
    const JsonField function = call["function"];
    QG_CHECK_OK(function.expect_object());
    QG_TRY(const std::string name, function["name"].text());
    QG_TRY(const std::string arguments, function["arguments"].text_or(""));
    append_line(text, name + "(" + arguments + ")");
  }
  return text;
}

Result<Conversation> parse_messages(const JsonField& messages, UnknownKeys unknown) {
  QG_TRY(const std::vector<JsonField> items, messages.items());
  if (items.empty()) return messages.invalid("the list is empty: there is nothing to judge");
  Conversation conversation;
  conversation.reserve(items.size());
  for (const JsonField& item : items) {
    QG_TRY(Message message, parse_message(item, unknown));
    conversation.push_back(std::move(message));
  }
  return conversation;
}

}  // namespace qwen3guard::server
