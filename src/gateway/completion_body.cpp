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

json cut_choice(const json& choice, const ChoiceText& text, const Places& places,
                std::size_t released, const AnswerOptions& options) {
  json message = {{"role", "assistant"}};
  message["content"] = released_part(text.content, places.content, released);
  if (!text.thinking_key.empty()) {
    message[text.thinking_key] = released_part(text.thinking, places.thinking, released);
  }
  if (options.on_flag == OnFlag::kReplace) {
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

Result<GuardedBody> CompletionBody::guard(std::vector<ResponseFilter> filters,
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
    places.thinking = filter.received();
    filter.add(true, text.thinking);
    places.content = filter.received();
    filter.add(false, text.content);
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
      choice = cut_choice(choice, text, places, filter.released(), options);
    }
    if (filter.blocked() || options.filter.mode == ResponseMode::kAudit) {
      choice["qwen3guard"] = verdict_json(verdict);
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
