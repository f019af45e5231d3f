// Routes that gateways ask before they let a request or a response pass.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/try.h"
#include "formats/verdict_json.h"
#include "server/chat_messages.h"
#include "server/handlers.h"
#include "server/json_field.h"

namespace qwen3guard::server {
namespace {

using formats::OrderedJson;

// The strictest of several verdicts.
const Verdict& strictest(const std::vector<Verdict>& verdicts) {
  return *std::max_element(
      verdicts.begin(), verdicts.end(),
      [](const Verdict& a, const Verdict& b) { return a.decision < b.decision; });
}

Result<std::vector<Verdict>> judge_all(Service& service,
                                       const std::vector<Conversation>& conversations) {
  std::vector<Verdict> verdicts;
  for (const Conversation& conversation : conversations) {
    QG_TRY(const Verdict verdict, service.moderate(conversation));
    verdicts.push_back(verdict);
  }
  return verdicts;
}

struct LiteLlmCheck {
  std::vector<std::string> texts;
  Conversation messages;  // may be empty
  std::string tool_calls;
  std::string call;  // key of the prompt cache; empty without a call id
};

Result<LiteLlmCheck> parse_check(const JsonField& body, const Service& service,
                                 const std::string& client) {
  LiteLlmCheck check;
  if (!body["texts"].missing()) {
    QG_TRY(const std::vector<JsonField> texts, body["texts"].items());
    if (texts.size() > service.max_inputs()) {
      return body["texts"].invalid("expected at most " + std::to_string(service.max_inputs()) +
                                   " texts, found " + std::to_string(texts.size()));
    }
    for (const JsonField& text : texts) {
      QG_TRY(std::string value, text.text());
      check.texts.push_back(std::move(value));
    }
  }
  if (!body["images"].missing()) {
    QG_TRY(const std::vector<JsonField> images, body["images"].items());
    if (!images.empty()) return Error{ErrorCode::kUnsupported, "images: only text is judged"};
  }
  const JsonField messages = body["structured_messages"];
  if (!messages.missing() && !messages->empty()) {
    QG_TRY(check.messages, parse_messages(messages, UnknownKeys::kIgnore));
  }
  QG_TRY(check.tool_calls, parse_tool_calls(body["tool_calls"]));
  QG_TRY(const std::string call, body["litellm_call_id"].text_or(""));
  // One client's call ids say nothing about another's.
  if (!call.empty()) check.call = client + "\n" + call;
  return check;
}

// The conversation, and each text that is in none of its messages by itself.
std::vector<Conversation> request_to_judge(const LiteLlmCheck& check) {
  std::vector<Conversation> conversations;
  if (!check.messages.empty()) conversations.push_back(check.messages);
  for (const std::string& text : check.texts) {
    const bool known = std::any_of(
        check.messages.begin(), check.messages.end(),
        [&](const Message& message) { return message.content.find(text) != std::string::npos; });
    if (!known) conversations.push_back({{Role::kUser, text}});
  }
  if (!check.tool_calls.empty() && check.messages.empty()) {
    conversations.push_back({{Role::kUser, check.tool_calls}});
  }
  return conversations;
}

std::vector<Conversation> response_to_judge(const LiteLlmCheck& check, const Conversation& prompt) {
  std::vector<Conversation> conversations;
  const auto add = [&](const std::string& text) {
    conversations.push_back(prompt);
    conversations.back().push_back({Role::kAssistant, text});
  };
  for (const std::string& text : check.texts) add(text);
  if (!check.tool_calls.empty()) add(check.tool_calls);
  return conversations;
}

Response webhook_answer(const Service& service, const std::vector<Verdict>& verdicts) {
  const Verdict& worst = strictest(verdicts);
  const std::string reason = service.reason(worst);
  OrderedJson action = {{"reason", reason}};
  if (worst.decision == Decision::kBlock) {
    action = {{"body", "Blocked: " + reason}, {"status_code", 403}, {"reason", reason}};
  }
  return {.body = formats::to_line({{"action", action}}), .decision = worst.decision};
}

}  // namespace

Result<Response> litellm_guardrail(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  const JsonField body(parsed);
  QG_TRY(const std::string input_type, body["input_type"].text());
  if (input_type != "request" && input_type != "response") {
    return body["input_type"].invalid("expected request or response");
  }
  QG_TRY(const LiteLlmCheck check, parse_check(body, service, request.client));
  std::vector<Conversation> conversations;
  if (input_type == "request") {
    conversations = request_to_judge(check);
    if (!check.call.empty() && !conversations.empty()) {
      service.prompts().put(check.call, conversations.front());
    }
  } else {
    Conversation prompt = check.messages;
    if (prompt.empty()) {
      auto remembered =
          check.call.empty() ? std::optional<Conversation>() : service.prompts().get(check.call);
      service.metrics().prompt_lookup(remembered.has_value());
      // Without its prompt a response is judged by itself.
      if (remembered) prompt = std::move(*remembered);
    }
    conversations = response_to_judge(check, prompt);
  }
  if (conversations.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "texts, structured_messages and tool_calls are empty: there is nothing to judge"};
  }
  QG_TRY(const std::vector<Verdict> verdicts, judge_all(service, conversations));
  const Verdict& worst = strictest(verdicts);
  const bool blocked = worst.decision == Decision::kBlock;
  OrderedJson answer = {
      {"action", blocked ? "BLOCKED" : "NONE"},
      {"blocked_reason", blocked ? OrderedJson(service.reason(worst)) : OrderedJson(nullptr)}};
  answer["qwen3guard"] = OrderedJson::array();
  for (const Verdict& verdict : verdicts) {
    answer["qwen3guard"].push_back(service.verdict_json(verdict));
  }
  return Response{.body = formats::to_line(answer), .decision = worst.decision};
}

Result<Response> webhook_request(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  QG_TRY(const Conversation conversation, parse_messages(JsonField(parsed)["body"]["messages"]));
  QG_TRY(const Verdict verdict, service.moderate(conversation));
  return webhook_answer(service, {verdict});
}

Result<Response> webhook_response(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  const JsonField choices = JsonField(parsed)["body"]["choices"];
  QG_TRY(const std::vector<JsonField> items, choices.items());
  if (items.empty()) return choices.invalid("the list is empty: there is nothing to judge");
  std::vector<Conversation> conversations;
  for (const JsonField& choice : items) {
    const JsonField message = choice["message"];
    QG_CHECK_OK(message.expect_object());
    QG_TRY(const std::string content, parse_content(message["content"]));
    conversations.push_back({{Role::kAssistant, content}});
  }
  QG_TRY(const std::vector<Verdict> verdicts, judge_all(service, conversations));
  return webhook_answer(service, verdicts);
}

}  // namespace qwen3guard::server
