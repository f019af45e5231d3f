#include "dataset/labelled_conversation.h"

#include <nlohmann/json.hpp>

#include "base/try.h"
#include "bytes/json.h"

namespace qwen3guard::dataset {
namespace {

using nlohmann::json;

Error field_error(std::string_view field, std::string_view expected, const json* found) {
  std::string shown = found == nullptr ? "nothing" : found->dump(-1, ' ', true);
  if (shown.size() > 60) shown = shown.substr(0, 60) + "…";
  return {ErrorCode::kInvalidJson, "field \"" + std::string(field) + "\": expected " +
                                       std::string(expected) + ", found " + shown};
}

const json* find(const json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

Result<std::string> text_field(const json& object, const char* key) {
  const json* value = find(object, key);
  if (value == nullptr || !value->is_string()) return field_error(key, "a string", value);
  return value->get<std::string>();
}

Result<Conversation> parse_messages(const json& row) {
  const json* list = find(row, "messages");
  if (list == nullptr || !list->is_array() || list->empty()) {
    return field_error("messages", "a list of at least one message", list);
  }
  Conversation messages;
  for (const json& entry : *list) {
    if (!entry.is_object()) return field_error("messages", "objects", &entry);
    QG_TRY(const std::string role, text_field(entry, "role"));
    QG_TRY(std::string content, text_field(entry, "content"));
    Message message{Role::kUser, std::move(content)};
    if (role == "system") {
      message.role = Role::kSystem;
    } else if (role == "assistant") {
      message.role = Role::kAssistant;
    } else if (role != "user") {
      return field_error("role", "system, user or assistant", find(entry, "role"));
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

Result<CharacterSpan> parse_span(const json& value) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() ||
      !value[1].is_number_unsigned()) {
    return field_error("unsafe_span", "[start, end]", &value);
  }
  CharacterSpan span{value[0].get<std::size_t>(), value[1].get<std::size_t>()};
  if (span.begin >= span.end) return field_error("unsafe_span", "start before end", &value);
  return span;
}

/// `spans` lists all marked pieces where a set has more than one; `unsafe_span` is the first of
/// them.
Result<std::vector<CharacterSpan>> parse_spans(const json& row) {
  std::vector<CharacterSpan> spans;
  const json* all = find(row, "spans");
  if (all != nullptr && all->is_array() && !all->empty()) {
    for (const json& value : *all) {
      QG_TRY(const CharacterSpan span, parse_span(value));
      spans.push_back(span);
    }
    return spans;
  }
  const json* one = find(row, "unsafe_span");
  if (one != nullptr && !one->is_null()) {
    QG_TRY(const CharacterSpan span, parse_span(*one));
    spans.push_back(span);
  }
  return spans;
}

}  // namespace

Result<LabelledConversation> parse_labelled_conversation(std::string_view line) {
  QG_TRY(const json row, bytes::parse_json(line));
  if (!row.is_object()) return Error{ErrorCode::kInvalidJson, "expected one JSON object a line"};
  LabelledConversation result;
  QG_TRY(result.id, text_field(row, "id"));
  QG_TRY(result.source, text_field(row, "source"));
  QG_TRY(result.language, text_field(row, "lang"));
  QG_TRY(result.label_origin, text_field(row, "label_origin"));
  QG_TRY(result.messages, parse_messages(row));

  QG_TRY(const std::string target, text_field(row, "target"));
  if (target != "prompt" && target != "response") {
    return field_error("target", "prompt or response", find(row, "target"));
  }
  result.target = target == "prompt" ? Target::kPrompt : Target::kResponse;
  const Role judged = result.target == Target::kPrompt ? Role::kUser : Role::kAssistant;
  if (result.messages.back().role != judged) {
    return field_error("target", "the role of the last message to match", find(row, "target"));
  }

  const json* label = find(row, "label");
  if (label == nullptr || (!label->is_null() && !label->is_string())) {
    return field_error("label", "a string or null", label);
  }
  if (label->is_string()) {
    result.label = parse_risk(label->get<std::string>());
    if (!result.label) return field_error("label", "Safe, Unsafe or Controversial", label);
  }

  const json* categories = find(row, "categories");
  if (categories == nullptr || !categories->is_array()) {
    return field_error("categories", "a list", categories);
  }
  for (const json& name : *categories) {
    if (!name.is_string()) return field_error("categories", "strings", &name);
    result.categories.push_back(name.get<std::string>());
  }

  const json* refusal = find(row, "refusal");
  if (refusal != nullptr && !refusal->is_null()) {
    if (!refusal->is_boolean()) return field_error("refusal", "true, false or null", refusal);
    result.refusal = refusal->get<bool>();
  }
  QG_TRY(result.unsafe_spans, parse_spans(row));

  QG_TRY(const std::string split, text_field(row, "split"));
  if (split != "train" && split != "test")
    return field_error("split", "train or test", find(row, "split"));
  result.split = split == "train" ? Split::kTrain : Split::kTest;
  return result;
}

}  // namespace qwen3guard::dataset
