// Verdicts and errors as JSON: docs/formats/moderation.md.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "qwen3guard/guard.h"

namespace qwen3guard::formats {

using OrderedJson = nlohmann::ordered_json;

/// The shortest decimal that reads back as the same float: 0.9, not 0.8999999761581421.
double shortest(float value);
OrderedJson probabilities_json(const RiskProbabilities& probabilities);
/// {"token", "byte", "char"} and "thinking": true where it is so; null without a flag.
OrderedJson flag_json(const std::optional<FlagPosition>& flag);
/// Category label -> probability, in class order.
OrderedJson categories_json(const Guard& guard, Target target,
                            const std::array<float, kQueryCategoryCount>& probabilities);
/// Label of the category, or null.
OrderedJson category_json(const Guard& guard, Target target,
                          const std::optional<Category>& category);

/// Appends the keys of a verdict, from "target" to "tokens", to `object`.
void add_verdict(const Guard& guard, const Verdict& verdict, OrderedJson& object);

/// Appends the keys of a judged token, from "token" to "decision", to `object`; `text` is null
/// where it is withheld.
void add_token(const Guard& guard, const JudgedToken& token, const OrderedJson& text,
               OrderedJson& object);

/// One line of output, without its newline. Never throws; text is valid UTF-8.
std::string verdict_line(const nlohmann::json& id, const Guard& guard, const Verdict& verdict);
std::string error_line(const nlohmann::json& id, const Error& error);
std::string to_line(const OrderedJson& object);

}  // namespace qwen3guard::formats
