#include "gateway/roll_back.h"

#include <nlohmann/json.hpp>

#include "intervention/guarded_writing.h"

namespace qwen3guard::gateway {
namespace {

using nlohmann::ordered_json;

// What an answer asks: the last message, whoever wrote it. Parts are joined as the guard joins
// them.
std::string query_of(const ordered_json& message) {
  const ordered_json content = message.value("content", ordered_json());
  if (content.is_string()) return content.get<std::string>();
  std::string query;
  if (!content.is_array()) return query;
  for (const ordered_json& part : content) {
    query += (query.empty() ? "" : "\n") + part.value("text", std::string());
  }
  return query;
}

// Without what was sent, the question takes the place of the user's message, which it quotes: many
// templates refuse two messages of one side in a row.
void ask_for_criticism(ordered_json& messages, std::string_view flagged,
                       std::string_view released) {
  const ordered_json question = {
      {"role", "user"},
      {"content", intervention::introspection_question(query_of(messages.back()), flagged) +
                      "\n\nAfter the self-criticism go on with a harmless answer to the user, from "
                      "where it was broken off, and repeat nothing of it."}};
  if (!released.empty()) {
    messages.push_back({{"role", "assistant"}, {"content", released}});
  } else if (messages.back().value("role", "") == "user") {
    messages.erase(messages.size() - 1);
  }
  messages.push_back(question);
}

}  // namespace

std::string_view rest_begins_with(Prefill prefill) {
  return prefill == Prefill::kNone ? "" : "... oh I'm sorry, I just realized";
}

std::string request_for_rest(std::string_view request, std::string_view flagged,
                             std::string_view released, Prefill prefill) {
  ordered_json body = ordered_json::parse(request);
  ordered_json& messages = body["messages"];
  if (prefill == Prefill::kNone) {
    ask_for_criticism(messages, flagged, released);
    return body.dump();
  }
  ordered_json begun = {
      {"role", "assistant"},
      {"content", std::string(released) + std::string(rest_begins_with(prefill))}};
  if (prefill == Prefill::kPrefix) begun["prefix"] = true;
  messages.push_back(std::move(begun));
  if (prefill == Prefill::kVllm) {
    body["add_generation_prompt"] = false;
    body["continue_final_message"] = true;
  }
  return body.dump();
}

void add_waiting(const RollBackOptions& options, std::size_t retries, ordered_json& json) {
  json["retries"] = retries;
  json["wait_tokens"] = options.buffer * (retries + 1);
  json["additional_wait_tokens"] = options.buffer * retries;
}

}  // namespace qwen3guard::gateway
