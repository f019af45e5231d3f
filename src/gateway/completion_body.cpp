#include "gateway/completion_body.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/try.h"
#include "bytes/json.h"
#include "gateway/azure_annotations.h"

namespace qwen3guard::gateway {
namespace {

using nlohmann::json;

// Positions of a choice's texts in its filter.
struct Places {
  std::size_t thinking = 0;
  std::size_t content = 0;
};

std::string released_part(const std::string& text, std::size_t at, std::size_t released) {
  return released <= at ? std::string() : text.substr(0, released - at);
}

// What a filter has of an answer that was written in several goes: the thinking of the first, and
// `size` bytes of content.
void set_whole_answer(const ResponseFilter& filter, std::size_t size, const ChoiceText& text,
                      json& message) {
  message["content"] = filter.answer().substr(0, size);
  if (!text.thinking_key.empty()) message.erase(text.thinking_key);
  if (filter.thinking().empty()) return;
  message[text.thinking_key.empty() ? "reasoning_content" : text.thinking_key] = filter.thinking();
}

json cut_choice(const json& choice, const ChoiceText& text, const Places& places,
                const ResponseFilter& filter, const AnswerOptions& options) {
  const std::size_t released = filter.released();
  json message = {{"role", "assistant"}};
  message["content"] = released_part(text.content, places.content, released);
  if (filter.roll_backs() > 0) {
    set_whole_answer(filter, filter.released_answer().size(), text, message);
  } else if (!text.thinking_key.empty()) {
    message[text.thinking_key] = released_part(text.thinking, places.thinking, released);
  }
  if (options.replaces()) {
    message["content"].get_ref<std::string&>() += options.replacement;
  }
  return {{"index", choice.value("index", json(0))},
          {"message", std::move(message)},
          {"finish_reason", "content_filter"}};
}

}  // namespace

Result<CompletionBody> CompletionBody::parse(std::string_view body, std::size_t most_choices) {
  const auto wrong = [](const std::string& message) {
    return Error{ErrorCode::kInvalidArgument, "the upstream's answer: " + message};
  };
  CompletionBody result;
  auto parsed = bytes::parse_json(body, {.max_depth = 32, .max_values = 1u << 20});
  if (!parsed.ok()) return wrong(parsed.error().message);
  result.body_ = std::move(parsed).value();
  if (!result.body_.is_object() || !result.body_.contains("choices") ||
      !result.body_["choices"].is_array()) {
    return wrong("expected an object with a list of choices");
  }
  const json& choices = result.body_["choices"];
  if (choices.empty() || choices.size() > most_choices) {
    return wrong("expected 1 to " + std::to_string(most_choices) + " choices, found " +
                 std::to_string(choices.size()));
  }
  for (const json& choice : choices) {
    if (!choice.is_object() || !choice.contains("message")) {
      return wrong("choices: expected objects with a message");
    }
    CallText calls;
    auto text = read_choice(choice, "message", calls, false);
    if (!text.ok()) return wrong("choices: " + text.error().message);
    text->other += calls.close();
    result.texts_.push_back(std::move(text).value());
  }
  result.texts_.front().other += text_around_choices(result.body_);
  return result;
}

Result<GuardedBody> CompletionBody::guard(std::vector<ResponseFilter>& filters,
                                          const Verdict& prompt, const AnswerOptions& options,
                                          const VerdictJson& verdict_json) && {
  QG_CHECK(filters.size() >= texts_.size());
  const bool azure = options.annotations == Annotations::kAzure;
  GuardedBody result;
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    ResponseFilter& filter = filters[i];
    const ChoiceText& text = texts_[i];
    json& choice = body_["choices"][i];
    Places places;
    filter.hold();
    const bool again = filter.roll_backs() > 0;
    const bool begun = filter.received() > 0;  // by the client, or by an earlier try
    places.thinking = filter.received();
    if (!again) filter.add(true, text.thinking);
    places.content = filter.received();
    filter.add(false, text.content);
    if (again) set_whole_answer(filter, filter.answer().size(), text, choice["message"]);
    filter.add(false, text.other);
    filter.end();
    if (Status status = filter.judge(); !status.ok()) {
      if (!options.fails_open()) return std::move(status).error();
      filter.give_up();
      result.failed_open = true;
      if (azure) choice["content_filter_results"] = azure_unjudged();
      continue;
    }
    const Verdict verdict = filter.verdict();
    result.verdicts.push_back(verdict);
    if (filter.blocked()) {
      result.blocked = true;
      result.wants_retry = options.rolls_back() && texts_.size() == 1 && text.other.empty() &&
                           (again || !begun) && filter.can_roll_back() &&
                           filter.roll_backs() < options.roll_back.retries;
      choice = cut_choice(choice, text, places, filter, options);
    }
    if (filter.blocked() || again || options.filter.mode == ResponseMode::kAudit) {
      auto object = verdict_json(verdict);
      if (options.rolls_back()) add_waiting(options.roll_back, filter.roll_backs(), object);
      choice["qwen3guard"] = std::move(object);
    }
    if (azure) choice["content_filter_results"] = azure_results(verdict, filter.blocked());
  }
  if (result.blocked) {
    // What stands around the choices may repeat what they said.
    json whole = frame_of(body_);
    whole["choices"] = std::move(body_["choices"]);
    if (body_.contains("usage")) whole["usage"] = std::move(body_["usage"]);
    body_ = std::move(whole);
  }
  if (azure) body_["prompt_filter_results"] = azure_prompt_results(prompt, false);
  result.body = body_.dump();
  return result;
}

}  // namespace qwen3guard::gateway
