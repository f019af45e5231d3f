#include "formats/verdict_json.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace qwen3guard::formats {

double shortest(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double result = 0;
  std::from_chars(text, written.ptr, result);
  return result;
}

OrderedJson probabilities_json(const RiskProbabilities& probabilities) {
  return {{"safe", shortest(probabilities[Risk::kSafe])},
          {"controversial", shortest(probabilities[Risk::kControversial])},
          {"unsafe", shortest(probabilities[Risk::kUnsafe])}};
}

OrderedJson flag_json(const std::optional<FlagPosition>& flag) {
  if (!flag) return nullptr;
  OrderedJson json = {{"token", flag->token}, {"byte", flag->byte}, {"char", flag->character}};
  if (flag->thinking) json["thinking"] = true;
  return json;
}

OrderedJson categories_json(const Guard& guard, Target target,
                            const std::array<float, kQueryCategoryCount>& probabilities) {
  const std::size_t count =
      target == Target::kPrompt ? kQueryCategoryCount : kResponseCategoryCount;
  OrderedJson json = OrderedJson::object();
  for (std::size_t i = 0; i < count; ++i) {
    json[guard.category_label(target, static_cast<Category>(i))] = shortest(probabilities[i]);
  }
  return json;
}

OrderedJson category_json(const Guard& guard, Target target,
                          const std::optional<Category>& category) {
  if (!category) return nullptr;
  return guard.category_label(target, *category);
}

void add_verdict(const Guard& guard, const Verdict& verdict, OrderedJson& object) {
  object["target"] = target_name(verdict.target);
  object["risk"] = risk_name(verdict.risk);
  object["category"] = category_json(guard, verdict.target, verdict.category);
  object["probabilities"] = probabilities_json(verdict.probabilities);
  object["categories"] = categories_json(guard, verdict.target, verdict.category_probabilities);
  object["refusal"] = verdict.refusal ? OrderedJson(*verdict.refusal) : OrderedJson(nullptr);
  object["flagged"] = flag_json(verdict.flagged);
  object["decision"] = decision_name(verdict.decision);
  object["tokens"] = verdict.tokens;
  if (verdict.window_slid) object["window_slid"] = true;
}

void add_token(const Guard& guard, const JudgedToken& token, const OrderedJson& text,
               OrderedJson& object) {
  object["token"] = token.index;
  object["id"] = token.id;
  object["text"] = text;
  object["byte"] = token.byte_begin;
  object["byte_end"] = token.byte_end;
  object["char"] = token.character;
  if (token.thinking) object["thinking"] = true;
  object["risk"] = risk_name(token.verdict.risk);
  object["category"] = category_json(guard, Target::kResponse, token.verdict.category);
  object["probabilities"] = probabilities_json(token.verdict.probabilities);
  object["decision"] = decision_name(token.label.action);
}

std::string to_line(const OrderedJson& object) {
  return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string verdict_line(const nlohmann::json& id, const Guard& guard, const Verdict& verdict) {
  OrderedJson object;
  object["id"] = id;
  add_verdict(guard, verdict, object);
  return to_line(object);
}

std::string error_line(const nlohmann::json& id, const Error& error) {
  OrderedJson object;
  object["id"] = id;
  object["error"] = {{"code", error_code_name(error.code)}, {"message", error.message}};
  return to_line(object);
}

}  // namespace qwen3guard::formats
