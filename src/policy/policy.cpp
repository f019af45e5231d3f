#include "qwen3guard/policy.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/json.h"

namespace qwen3guard {

using nlohmann::json;

/// Reads the format of docs/formats/policy.md. Unknown keys are errors: a misspelt threshold must
/// not silently leave a category at its default.
class PolicyParser {
 public:
  static Result<Policy> parse(const json& object) {
    QG_CHECK_OK(check_keys(object, "the policy",
                           {"version", "name", "mode", "debounce", "action", "threshold",
                            "categories", "prompt", "response"}));
    if (!object.contains("version") || object["version"] != 1) {
      return invalid("\"version\": expected 1, the only version so far");
    }
    Policy policy;
    QG_TRY(policy.name_, text(object, "name", "unnamed"));
    QG_TRY(const std::string mode, text(object, "mode", "strict"));
    if (mode != "strict" && mode != "loose") {
      return invalid("\"mode\": expected \"strict\" or \"loose\", found \"" + mode + "\"");
    }
    policy.mode_ = mode == "strict" ? Policy::Mode::kStrict : Policy::Mode::kLoose;
    QG_TRY(const std::string rule_name, text(object, "debounce", "paper"));
    const std::optional<DebounceRule> rule = parse_debounce_rule(rule_name);
    if (!rule) {
      return invalid("\"debounce\": expected \"paper\" or \"official-eval\", found \"" + rule_name +
                     "\"");
    }
    policy.debounce_ = *rule;
    for (const auto& [key, rules] : {std::pair{"prompt", &policy.prompt_rules_},
                                     std::pair{"response", &policy.response_rules_}}) {
      QG_CHECK_OK(apply_section(object, *rules));
      if (!object.contains(key)) continue;
      QG_CHECK_OK(check_keys(object[key], std::string("\"") + key + "\"",
                             {"action", "threshold", "categories"}));
      QG_CHECK_OK(apply_section(object[key], *rules));
    }
    return policy;
  }

 private:
  static Error invalid(std::string message) {
    return {ErrorCode::kInvalidArgument, std::move(message)};
  }

  static Status check_keys(const json& object, const std::string& where,
                           std::initializer_list<std::string_view> known) {
    if (!object.is_object()) return invalid(where + ": expected a JSON object");
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        return invalid(where + ": unknown key \"" + key +
                       "\"; docs/formats/policy.md lists the keys");
      }
    }
    return {};
  }

  static Result<std::string> text(const json& object, const char* key, const char* fallback) {
    if (!object.contains(key)) return std::string(fallback);
    if (!object[key].is_string()) return invalid(std::string("\"") + key + "\": expected a string");
    return object[key].get<std::string>();
  }

  // "action" and "threshold" of an object, where present.
  static Status apply_rule(const json& object, const std::string& where, Policy::Rule& rule) {
    if (object.contains("action")) {
      const json& action = object["action"];
      if (action == "allow") {
        rule.action = Decision::kAllow;
      } else if (action == "flag") {
        rule.action = Decision::kFlag;
      } else if (action == "block") {
        rule.action = Decision::kBlock;
      } else {
        return invalid(where + "\"action\": expected \"allow\", \"flag\" or \"block\"");
      }
    }
    if (object.contains("threshold")) {
      const json& threshold = object["threshold"];
      if (!threshold.is_number() ||
          !(threshold.get<double>() > 0 && threshold.get<double>() <= 1)) {
        return invalid(where + "\"threshold\": expected a probability above 0 and at most 1");
      }
      rule.threshold = threshold.get<float>();
    }
    return {};
  }

  static Status apply_section(const json& section, Policy::Rules& rules) {
    for (Policy::Rule& rule : rules) QG_CHECK_OK(apply_rule(section, "", rule));
    if (!section.contains("categories")) return {};
    if (!section["categories"].is_object())
      return invalid("\"categories\": expected a JSON object");
    for (const auto& [name, value] : section["categories"].items()) {
      const std::optional<Category> category = parse_category(name);
      if (!category) {
        return invalid("\"categories\": unknown category \"" + name +
                       "\"; the names are the official ones, for example \"Violent\" or \"PII\"");
      }
      const std::string where = "\"" + name + "\": ";
      QG_CHECK_OK(check_keys(value, "\"" + name + "\"", {"action", "threshold"}));
      QG_CHECK_OK(apply_rule(value, where, rules[static_cast<std::size_t>(*category)]));
    }
    return {};
  }
};

Policy Policy::strict() { return Policy(); }

Policy Policy::loose() {
  Policy policy;
  policy.name_ = "loose";
  policy.mode_ = Mode::kLoose;
  return policy;
}

Result<Policy> Policy::parse(std::string_view text) {
  QG_TRY(const json object, bytes::parse_json(text, {.max_bytes = 1u << 20, .max_depth = 8}));
  return PolicyParser::parse(object);
}

Result<Policy> Policy::load(const std::string& name_or_path) {
  if (name_or_path == "strict") return strict();
  if (name_or_path == "loose") return loose();
  auto text = bytes::read_file(name_or_path, 1u << 20);
  if (!text.ok()) {
    return std::move(text).error().with_context(
        "policy (expected strict, loose or the path of a policy file)");
  }
  auto policy = parse(*text);
  if (!policy.ok()) return std::move(policy).error().with_context("policy file " + name_or_path);
  return policy;
}

TokenLabel Policy::label(const TokenVerdict& token, Target target) const {
  const std::size_t categories =
      target == Target::kPrompt ? kQueryCategoryCount : kResponseCategoryCount;
  const auto& p = token.category_probabilities;
  const auto category = static_cast<std::size_t>(std::distance(
      p.begin(), std::max_element(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(categories))));
  const Rule& rule = rules(target)[category];
  if (rule.action == Decision::kAllow) return {};

  const float unsafe = token.probabilities[Risk::kUnsafe];
  const float controversial = token.probabilities[Risk::kControversial];
  const bool strict = mode_ == Mode::kStrict;
  const bool hit = rule.threshold ? (strict ? unsafe + controversial : unsafe) >= *rule.threshold
                                  : token.risk == Risk::kUnsafe ||
                                        (strict && token.risk == Risk::kControversial);
  if (!hit) return {};
  // A threshold can fire where Safe is the most probable class: name the likelier of the other two.
  const Risk risk = token.risk != Risk::kSafe            ? token.risk
                    : !strict || unsafe >= controversial ? Risk::kUnsafe
                                                         : Risk::kControversial;
  return {risk, rule.action};
}

}  // namespace qwen3guard
