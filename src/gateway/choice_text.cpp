#include "gateway/choice_text.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/try.h"
#include "server/json_field.h"

namespace qwen3guard::gateway {
namespace {

using nlohmann::json;
using server::JsonField;

template <std::size_t kSize>
bool contains(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Names and ids are not judged, so they must not have room for a sentence.
bool is_name(std::string_view text) {
  return text.size() <= 128 && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
         });
}

// Appends every text in `value` that `known` does not hold already. Keys that hold names may; what
// comes in pieces under another key may be a word of a sentence.
void collect(const json& value, std::string_view key, std::string_view known, std::string& text) {
  static constexpr std::array<std::string_view, 13> kNames = {
      "id",          "type",          "role",         "object", "format",   "name",
      "stop_reason", "finish_reason", "matched_stop", "status", "severity", "native_finish_reason",
      "signature"};
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      if (!is_name(name)) text += name;
      collect(member, name, known, text);
    }
  } else if (value.is_array()) {
    for (const json& item : value) collect(item, key, known, text);
  } else if (value.is_string()) {
    const auto& said = value.get_ref<const std::string&>();
    if (contains(kNames, key) && is_name(said)) return;
    if (known.find(said) == known.npos) text += said;
  }
}

std::size_t token_bytes(const json& logprobs) {
  std::size_t bytes = 0;
  if (!logprobs.is_object()) return bytes;
  for (const auto& [name, tokens] : logprobs.items()) {
    if (!tokens.is_array()) continue;
    for (const json& token : tokens) {
      if (!token.is_object()) continue;
      const auto spelled = token.find("bytes");
      const auto text = token.find("token");
      if (spelled != token.end() && spelled->is_array()) {
        bytes += spelled->size();
      } else if (text != token.end() && text->is_string()) {
        bytes += text->get_ref<const std::string&>().size();
      }
    }
  }
  return bytes;
}

// The first of several names for the thinking that says something.
Status read_thinking(const JsonField& body, ChoiceText& text) {
  for (const char* key : {"reasoning_content", "reasoning"}) {
    const JsonField field = body[key];
    if (field.missing() || !field->is_string()) continue;
    QG_TRY(text.thinking, field.text());
    text.thinking_key = key;
    if (!text.thinking.empty()) return {};
  }
  return {};
}

}  // namespace

std::string CallText::add(const json& call, bool first_text) {
  std::string text;
  const json index = call.value("index", json(nullptr));
  const json function = call.value("function", json(nullptr));
  const auto string_in = [&](const char* key) {
    const auto found = function.is_object() ? function.find(key) : function.end();
    return function.is_object() && found != function.end() && found->is_string()
               ? found->get<std::string>()
               : std::string();
  };
  const std::string name = string_in("name");
  if (!name.empty() || !open_ || *open_ != index) {
    text = close();
    if (!first_text || !text.empty()) text += '\n';
    text += name + "(";
    open_ = index;
  }
  return text + string_in("arguments");
}

std::string CallText::close() {
  if (!open_) return "";
  open_.reset();
  return ")";
}

Result<ChoiceText> read_choice(const json& choice, const char* body_key, CallText& calls,
                               bool something_said) {
  ChoiceText text;
  const JsonField body = JsonField(choice)[body_key];
  const auto logprobs = choice.find("logprobs");
  if (logprobs != choice.end()) text.logprob_bytes = token_bytes(*logprobs);
  QG_TRY(const std::string reason, JsonField(choice)["finish_reason"].text_or(""));
  text.finishes = !reason.empty();
  if (!body.missing()) {
    QG_CHECK_OK(body.expect_object());
    QG_CHECK_OK(read_thinking(body, text));
    const JsonField content = body["content"];
    if (!content.missing() && content->is_string()) {
      QG_TRY(text.content, content.text());
    }
  }
  something_said = something_said || !text.content.empty();

  const std::string known = text.thinking + text.content;
  std::string stray;
  for (const auto& [key, value] : choice.items()) {
    if (key != body_key && key != "logprobs") collect(value, key, known, stray);
  }
  if (!body.missing()) {
    for (const auto& [key, value] : body->items()) {
      const bool read = (key == "content" && value.is_string()) || key == text.thinking_key;
      if (!read && key != "tool_calls") collect(value, key, known, stray);
    }
    const JsonField tool_calls = body["tool_calls"];
    if (!tool_calls.missing()) {
      QG_TRY(const std::vector<JsonField> items, tool_calls.items());
      for (const JsonField& item : items) {
        QG_CHECK_OK(item.expect_object());
        text.other += calls.add(*item.operator->(), !something_said && text.other.empty());
        json rest = *item.operator->();
        if (rest.contains("function") && rest["function"].is_object()) {
          // What is judged as the call itself.
          for (const char* key : {"name", "arguments"}) {
            const auto found = rest["function"].find(key);
            if (found != rest["function"].end() && found->is_string()) rest["function"].erase(key);
          }
        }
        collect(rest, "tool_calls", known, stray);
      }
    }
  }
  text.other += stray;
  if (text.finishes) text.other += calls.close();
  return text;
}

json frame_of(const json& chunk) {
  json frame = json::object();
  for (const char* key : {"id", "object", "created", "model", "system_fingerprint"}) {
    const auto found = chunk.find(key);
    if (found == chunk.end()) continue;
    const bool fit =
        found->is_number() || (found->is_string() && is_name(found->get_ref<const std::string&>()));
    if (fit) frame[key] = *found;
  }
  return frame;
}

std::string text_around_choices(const json& chunk) {
  std::string all, text;
  for (const auto& [key, value] : chunk.items()) {
    if (key == "choices" || key == "usage") continue;
    if (value.is_string() && is_name(value.get_ref<const std::string&>())) continue;
    collect(value, key, "", text);
  }
  return text;
}

}  // namespace qwen3guard::gateway
