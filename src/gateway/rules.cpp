#include "gateway/rules.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/json.h"
#include "bytes/quote.h"

namespace qwen3guard::gateway {
namespace {

using nlohmann::json;
using Policies = std::map<std::string, Policy, std::less<>>;

constexpr std::size_t kFileBytes = 1u << 20;

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Status check_keys(const json& object, const std::string& where,
                  std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return invalid(where + ": expected a JSON object");
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return invalid(where + ": unknown key " + bytes::quote(key) +
                     "; docs/formats/policy.md lists the keys");
    }
  }
  return {};
}

Status read_text(const json& object, const std::string& where, const char* key,
                 std::optional<std::string>& value) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_string()) {
    return invalid(where + ", " + bytes::quote(key) + ": expected a string");
  }
  value = found->get<std::string>();
  return {};
}

// One of a few names.
template <typename Value>
Status read_choice_of(const json& object, const std::string& where, const char* key,
                      std::initializer_list<std::pair<const char*, Value>> choices,
                      std::optional<Value>& value) {
  std::optional<std::string> name;
  QG_CHECK_OK(read_text(object, where, key, name));
  if (!name) return {};
  std::string names;
  for (const auto& [known, meaning] : choices) {
    if (*name == known) {
      value = meaning;
      return {};
    }
    names += (names.empty() ? "" : ", ") + bytes::quote(known);
  }
  return invalid(where + ", " + bytes::quote(key) + ": expected one of " + names + ", found " +
                 bytes::quote(*name));
}

Result<Policies> read_policies(const json& file) {
  Policies policies = {{"strict", Policy::strict()}, {"loose", Policy::loose()}};
  const auto found = file.find("policies");
  if (found == file.end()) return policies;
  if (!found->is_object()) return invalid("\"policies\": expected a JSON object");
  for (const auto& [name, object] : found->items()) {
    const std::string where = "policy " + bytes::quote(name);
    if (policies.contains(name)) return invalid(where + ": this name is built in");
    if (!object.is_object()) return invalid(where + ": expected a JSON object");
    for (const char* key : {"version", "name"}) {
      if (object.contains(key)) {
        return invalid(where + ": \"version\" and \"name\" are the file's, not a policy's, here");
      }
    }
    json whole = object;
    whole["version"] = 1;
    whole["name"] = name;
    auto policy = Policy::parse(whole.dump());
    if (!policy.ok()) return std::move(policy).error().with_context(where);
    policies.emplace(name, std::move(policy).value());
  }
  return policies;
}

Result<Rule> read_rule(const json& object, const std::string& where, const Policies& policies) {
  QG_CHECK_OK(check_keys(
      object, where,
      {"route", "model", "client", "headers", "policy", "mode", "on_flag", "replacement"}));
  Rule rule;
  QG_CHECK_OK(read_text(object, where, "route", rule.route));
  QG_CHECK_OK(read_text(object, where, "model", rule.model));
  QG_CHECK_OK(read_text(object, where, "client", rule.client));
  if (const auto headers = object.find("headers"); headers != object.end()) {
    if (!headers->is_object()) return invalid(where + ", \"headers\": expected a JSON object");
    for (const auto& [name, pattern] : headers->items()) {
      if (!pattern.is_string()) {
        return invalid(where + ", header " + bytes::quote(name) + ": expected a string");
      }
      rule.headers.emplace_back(name, pattern.get<std::string>());
    }
  }
  std::optional<std::string> policy;
  QG_CHECK_OK(read_text(object, where, "policy", policy));
  if (!policy) return invalid(where + ": \"policy\" is missing");
  const auto named = policies.find(*policy);
  if (named == policies.end()) {
    return invalid(where + ": unknown policy " + bytes::quote(*policy) +
                   "; expected \"strict\", \"loose\" or a name under \"policies\"");
  }
  rule.policy = named->second;
  QG_CHECK_OK(read_choice_of<ResponseMode>(object, where, "mode",
                                           {{"hold", ResponseMode::kHold},
                                            {"chunked", ResponseMode::kChunked},
                                            {"cut", ResponseMode::kCut},
                                            {"audit", ResponseMode::kAudit}},
                                           rule.mode));
  QG_CHECK_OK(read_choice_of<OnFlag>(
      object, where, "on_flag",
      {{"stop", OnFlag::kStop}, {"replace", OnFlag::kReplace}, {"rollback", OnFlag::kRollBack}},
      rule.on_flag));
  if (rule.on_flag == OnFlag::kRollBack &&
      rule.mode.value_or(ResponseMode::kHold) != ResponseMode::kHold) {
    return invalid(where +
                   ": \"on_flag\": \"rollback\" expects \"mode\": \"hold\", others send what "
                   "could not be taken back");
  }
  QG_CHECK_OK(read_text(object, where, "replacement", rule.replacement));
  return rule;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool matches(const std::optional<std::string>& pattern, std::string_view text) {
  return !pattern || matches_pattern(*pattern, text);
}

}  // namespace

// Each * takes as little as it can; when what follows does not fit, the last one takes more.
bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = pattern.npos, taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && lower(pattern[p]) == lower(text[t])) {
      ++p;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

bool Rule::matches(const RuleSubject& subject) const {
  return gateway::matches(route, subject.route) && gateway::matches(model, subject.model) &&
         gateway::matches(client, subject.client) &&
         std::all_of(headers.begin(), headers.end(), [&](const auto& wanted) {
           return std::any_of(subject.headers.begin(), subject.headers.end(),
                              [&](const server::Header& header) {
                                return server::same_name(header.name, wanted.first) &&
                                       matches_pattern(wanted.second, header.value);
                              });
         });
}

AnswerOptions Rule::applied_to(AnswerOptions options) const {
  options.filter.mode = mode.value_or(options.filter.mode);
  options.on_flag = on_flag.value_or(options.on_flag);
  options.replacement = replacement.value_or(std::move(options.replacement));
  return options;
}

Result<Rules> Rules::parse(std::string_view text) {
  QG_TRY(const json file, bytes::parse_json(text, {.max_bytes = kFileBytes, .max_depth = 8}));
  QG_CHECK_OK(check_keys(file, "the rules", {"version", "policies", "rules"}));
  if (!file.contains("version") || file["version"] != 1) {
    return invalid("\"version\": expected 1, the only version so far");
  }
  if (!file.contains("rules") || !file["rules"].is_array()) {
    return invalid("\"rules\": expected a list");
  }
  QG_TRY(const Policies policies, read_policies(file));
  Rules result;
  for (const json& object : file["rules"]) {
    const std::string where = "rule " + std::to_string(result.rules_.size() + 1);
    QG_TRY(Rule rule, read_rule(object, where, policies));
    result.rules_.push_back(std::move(rule));
  }
  return result;
}

Result<Rules> Rules::load(const std::string& path) {
  QG_TRY(const std::string text, bytes::read_file(path, kFileBytes));
  auto rules = parse(text);
  if (!rules.ok()) return std::move(rules).error().with_context("rules file " + path);
  return rules;
}

const Rule* Rules::find(const RuleSubject& subject) const {
  const auto found = std::find_if(rules_.begin(), rules_.end(),
                                  [&](const Rule& rule) { return rule.matches(subject); });
  return found == rules_.end() ? nullptr : &*found;
}

}  // namespace qwen3guard::gateway
