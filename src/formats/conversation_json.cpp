#include "formats/conversation_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/try.h"
#include "bytes/json.h"
#include "bytes/quote.h"

namespace qwen3guard::formats {
namespace {

using nlohmann::json;

Error invalid(std::string message) { return {ErrorCode::kInvalidConversation, std::move(message)}; }

Result<Role> parse_role(const json& value) {
  if (value == "user") return Role::kUser;
  if (value == "assistant") return Role::kAssistant;
  if (value == "system") return Role::kSystem;
  const std::string found =
      value.is_string() ? bytes::quote(value.get_ref<const std::string&>(), 40) : value.type_name();
  return invalid("\"role\": expected \"system\", \"user\" or \"assistant\", found " + found);
}

Result<Message> parse_message(json& value) {
  if (!value.is_object()) {
    return invalid(std::string("expected an object with \"role\" and \"content\", found ") +
                   value.type_name());
  }
  for (const auto& [key, member] : value.items()) {
    const bool known = key == "role" || key == "content" || key == "reasoning_content";
    if (!known && !member.is_null()) {
      return invalid(
          "unknown key " + bytes::quote(key, 40) +
          "; only role, content and reasoning_content are judged: remove the key, or put its "
          "text into content");
    }
  }
  if (!value.contains("role")) return invalid("\"role\" is missing");
  QG_TRY(const Role role, parse_role(value["role"]));
  if (!value.contains("content")) return invalid("\"content\" is missing");
  json& content = value["content"];
  if (!content.is_string()) {
    return invalid(std::string("\"content\": expected a string, found ") + content.type_name());
  }
  Message message{role, std::move(content.get_ref<std::string&>()), std::nullopt};
  if (const auto thinking = value.find("reasoning_content");
      thinking != value.end() && !thinking->is_null()) {
    if (!thinking->is_string()) {
      return invalid(std::string("\"reasoning_content\": expected a string, found ") +
                     thinking->type_name());
    }
    if (role != Role::kAssistant) return invalid("\"reasoning_content\": only an assistant thinks");
    message.reasoning_content = std::move(thinking->get_ref<std::string&>());
  }
  return message;
}

Result<Conversation> parse_messages(json& line) {
  if (!line.contains("messages")) return invalid("\"messages\" is missing");
  json& messages = line["messages"];
  if (!messages.is_array()) {
    return invalid(std::string("\"messages\": expected a list, found ") + messages.type_name());
  }
  if (messages.empty()) return invalid("\"messages\" is empty: there is nothing to judge");
  Conversation conversation;
  conversation.reserve(messages.size());
  for (json& value : messages) {
    auto message = parse_message(value);
    if (!message.ok()) {
      return std::move(message).error().with_context("message " +
                                                     std::to_string(conversation.size() + 1));
    }
    conversation.push_back(std::move(message).value());
  }
  if (conversation.back().role == Role::kSystem) {
    return invalid(
        "the last message is the system's; expected the user's or the assistant's, which is "
        "the one to judge");
  }
  return conversation;
}

// The id is echoed: a number that double cannot hold would come back as another one.
Result<std::optional<json>> parse_id(json& line) {
  const auto id = line.find("id");
  if (id == line.end()) return std::optional<json>();
  if (id->is_number_float() && std::abs(id->get<double>()) >= 0x1p53) {
    return invalid("\"id\": a number too large to be echoed exactly; write it as a string");
  }
  if (!id->is_string() && !id->is_number()) {
    return invalid(std::string("\"id\": expected a string or a number, found ") + id->type_name());
  }
  return std::optional<json>(std::move(*id));
}

}  // namespace

ConversationLine parse_conversation_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
    return {std::nullopt, Error{ErrorCode::kInvalidJson,
                                "an empty line; expected {\"messages\": [...]} on every line"}};
  }
  auto parsed = bytes::parse_json(line);
  if (!parsed.ok()) return {std::nullopt, std::move(parsed).error()};
  if (!parsed->is_object()) {
    return {std::nullopt, invalid(std::string("expected an object {\"messages\": [...]}, found ") +
                                  parsed->type_name())};
  }
  auto id = parse_id(*parsed);
  if (!id.ok()) return {std::nullopt, std::move(id).error()};
  return {std::move(id).value(), parse_messages(*parsed)};
}

}  // namespace qwen3guard::formats
