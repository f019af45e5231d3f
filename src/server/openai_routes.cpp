// Routes in the shapes of OpenAI and vLLM: moderations, chat completions, classification, models.
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/try.h"
#include "formats/verdict_json.h"
#include "server/chat_messages.h"
#include "server/handlers.h"
#include "server/json_field.h"
#include "server/openai_categories.h"
#include "server/openai_logprobs.h"
#include "server/request_id.h"

namespace qwen3guard::server {
namespace {

using formats::OrderedJson;

Response json_response(const OrderedJson& json, std::optional<Decision> decision) {
  return {.body = formats::to_line(json), .decision = decision};
}

// A string, a list of strings, or a list of content parts, which are one text.
Result<std::vector<std::string>> parse_input(const JsonField& input, std::size_t most) {
  std::vector<std::string> texts;
  const bool list = !input.missing() && input->is_array();
  if (!list || (!input->empty() && input->front().is_object())) {
    QG_TRY(std::string text, parse_content(input));
    texts.push_back(std::move(text));
    return texts;
  }
  QG_TRY(const std::vector<JsonField> items, input.items());
  if (items.empty()) return input.invalid("the list is empty: there is nothing to judge");
  if (items.size() > most) {
    return input.invalid("expected at most " + std::to_string(most) + " texts, found " +
                         std::to_string(items.size()));
  }
  for (const JsonField& item : items) {
    QG_TRY(std::string text, item.text());
    texts.push_back(std::move(text));
  }
  return texts;
}

Result<std::vector<Verdict>> judge_prompts(Service& service,
                                           const std::vector<std::string>& texts) {
  std::vector<Verdict> verdicts;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto verdict = service.moderate({{Role::kUser, texts[i]}});
    if (!verdict.ok()) {
      return std::move(verdict).error().with_context("input " + std::to_string(i + 1));
    }
    verdicts.push_back(std::move(verdict).value());
  }
  return verdicts;
}

// What Qwen3Guard-Gen writes.
std::string gen_answer(const Verdict& verdict) {
  std::string text = "Safety: " + std::string(risk_name(verdict.risk)) + "\nCategories: " +
                     std::string(verdict.category ? category_name(*verdict.category) : "None");
  if (verdict.refusal) text += std::string("\nRefusal: ") + (*verdict.refusal ? "Yes" : "No");
  return text;
}

// How many alternatives are wanted.
Result<std::size_t> parse_top_logprobs(const JsonField& field, bool log_probabilities) {
  if (field.missing()) return std::size_t{0};
  if (!log_probabilities) return field.invalid("only with logprobs: true");
  constexpr std::size_t kMost = 20;  // OpenAI's
  if (!field->is_number_unsigned() || field->get<std::uint64_t>() > kMost) {
    return field.expected("a whole number from 0 to 20");
  }
  return field->get<std::size_t>();
}

OrderedJson usage_json(std::size_t tokens) {
  return {{"prompt_tokens", tokens}, {"completion_tokens", 0}, {"total_tokens", tokens}};
}

// The answer as server-sent events. It is complete before its first event leaves: a verdict is a
// dozen tokens, and half of one is worth nothing.
std::string event_stream(const OrderedJson& head, const std::string& text,
                         const OrderedJson& logprobs, const OrderedJson& native,
                         std::optional<OrderedJson> usage) {
  std::string events;
  const auto add = [&](OrderedJson delta, const OrderedJson& finish,
                       const OrderedJson& probabilities = nullptr) -> OrderedJson {
    OrderedJson chunk = head;
    chunk["choices"] = {{{"index", 0},
                         {"delta", std::move(delta)},
                         {"logprobs", probabilities},
                         {"finish_reason", finish}}};
    return chunk;
  };
  const auto send = [&](const OrderedJson& chunk) {
    events += "data: " + formats::to_line(chunk) + "\n\n";
  };
  send(add({{"role", "assistant"}, {"content", ""}}, nullptr));
  send(add({{"content", text}}, nullptr, logprobs));
  OrderedJson last = add(OrderedJson::object(), "stop");
  last["qwen3guard"] = native;
  send(last);
  if (usage) {
    OrderedJson chunk = head;
    chunk["choices"] = OrderedJson::array();
    chunk["usage"] = std::move(*usage);
    send(chunk);
  }
  return events + "data: [DONE]\n\n";
}

}  // namespace

Result<Response> moderations(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  const JsonField body(parsed);
  QG_CHECK_OK(body["model"].text_or(""));
  QG_TRY(const std::vector<std::string> texts, parse_input(body["input"], service.max_inputs()));
  QG_TRY(const std::vector<Verdict> verdicts, judge_prompts(service, texts));
  OrderedJson results = OrderedJson::array();
  std::optional<Decision> decision;
  for (const Verdict& verdict : verdicts) {
    OrderedJson result = openai_result(verdict);
    result["qwen3guard"] = service.verdict_json(verdict);
    results.push_back(std::move(result));
    decision = stricter(decision, verdict.decision);
  }
  return json_response(
      {{"id", random_id("modr-")}, {"model", service.model()}, {"results", std::move(results)}},
      decision);
}

Result<Response> chat_completions(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  const JsonField body(parsed);
  QG_CHECK_OK(body["model"].text_or(""));
  QG_TRY(const bool stream, body["stream"].boolean_or(false));
  const JsonField stream_options = body["stream_options"];
  if (!stream_options.missing()) QG_CHECK_OK(stream_options.expect_object());
  QG_TRY(const bool with_usage, stream_options["include_usage"].boolean_or(false));
  QG_TRY(const bool log_probabilities, body["logprobs"].boolean_or(false));
  QG_TRY(const std::size_t alternatives,
         parse_top_logprobs(body["top_logprobs"], log_probabilities));
  if (!body["n"].missing() && *body["n"].operator->() != 1) {
    return body["n"].invalid("expected 1: there is one verdict");
  }
  QG_TRY(const Conversation conversation, parse_messages(body["messages"]));
  QG_TRY(const Verdict verdict, service.moderate(conversation));

  OrderedJson native = service.verdict_json(verdict);
  // A Stream model cannot tell whether a response refuses: the line is missing, and this says why.
  native["refusal_judged"] = verdict.refusal.has_value();
  const std::string text = gen_answer(verdict);
  const OrderedJson logprobs =
      log_probabilities ? openai_logprobs(verdict, alternatives) : OrderedJson(nullptr);
  OrderedJson head = {{"id", random_id("chatcmpl-")},
                      {"object", stream ? "chat.completion.chunk" : "chat.completion"},
                      {"created", std::time(nullptr)},
                      {"model", service.model()}};
  if (stream) {
    const auto usage = with_usage ? std::optional(usage_json(verdict.tokens)) : std::nullopt;
    return Response{.body = event_stream(head, text, logprobs, native, usage),
                    .content_type = "text/event-stream",
                    .headers = {{"Cache-Control", "no-cache"}},
                    .decision = verdict.decision};
  }
  head["choices"] = {{{"index", 0},
                      {"message", {{"role", "assistant"}, {"content", text}}},
                      {"logprobs", logprobs},
                      {"finish_reason", "stop"}}};
  head["usage"] = usage_json(verdict.tokens);
  head["qwen3guard"] = std::move(native);
  return json_response(head, verdict.decision);
}

Result<Response> classify(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  const JsonField body(parsed);
  QG_CHECK_OK(body["model"].text_or(""));
  std::vector<Verdict> verdicts;
  if (!body["messages"].missing()) {
    if (!body["input"].missing()) return body["input"].invalid("give input or messages, not both");
    QG_TRY(const Conversation conversation, parse_messages(body["messages"]));
    QG_TRY(const Verdict verdict, service.moderate(conversation));
    verdicts.push_back(verdict);
  } else {
    QG_TRY(const std::vector<std::string> texts, parse_input(body["input"], service.max_inputs()));
    QG_TRY(verdicts, judge_prompts(service, texts));
  }
  OrderedJson data = OrderedJson::array();
  std::optional<Decision> decision;
  std::size_t tokens = 0;
  for (const Verdict& verdict : verdicts) {
    OrderedJson probabilities = OrderedJson::array();
    for (const float p : verdict.probabilities.p) probabilities.push_back(formats::shortest(p));
    data.push_back({{"index", data.size()},
                    {"label", risk_name(verdict.risk)},
                    {"probs", std::move(probabilities)},
                    {"num_classes", kRiskCount},
                    {"qwen3guard", service.verdict_json(verdict)}});
    tokens += verdict.tokens;
    decision = stricter(decision, verdict.decision);
  }
  OrderedJson usage = usage_json(tokens);
  usage["prompt_tokens_details"] = nullptr;
  return json_response({{"id", random_id("classify-")},
                        {"object", "list"},
                        {"created", std::time(nullptr)},
                        {"model", service.model()},
                        {"data", std::move(data)},
                        {"usage", std::move(usage)}},
                       decision);
}

Result<Response> models(Service& service, const Request&) {
  const OrderedJson model = {{"id", service.model()},
                             {"object", "model"},
                             {"created", service.started()},
                             {"owned_by", "qwen3guard"}};
  return json_response({{"object", "list"}, {"data", OrderedJson::array({model})}}, std::nullopt);
}

}  // namespace qwen3guard::server
