#include "server/openai_logprobs.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/verdict_json.h"

namespace qwen3guard::server {
namespace {

using formats::OrderedJson;

struct LabelProbability {
  std::string_view label;
  float probability;
};

OrderedJson logprob_json(const LabelProbability& label) {
  // JSON has no infinity; OpenAI writes this for what never comes.
  constexpr double kNever = -9999.0;
  const double logarithm =
      label.probability > 0 ? formats::shortest(std::log(label.probability)) : kNever;
  OrderedJson bytes = OrderedJson::array();
  for (const char byte : label.label) bytes.push_back(static_cast<unsigned char>(byte));
  return {{"token", label.label}, {"logprob", logarithm}, {"bytes", std::move(bytes)}};
}

// What stands between labels.
OrderedJson certain(std::string_view text) {
  OrderedJson entry = logprob_json({text, 1});
  entry["top_logprobs"] = OrderedJson::array();
  return entry;
}

OrderedJson chosen(std::vector<LabelProbability> labels, std::size_t index, std::size_t most) {
  OrderedJson entry = logprob_json(labels[index]);
  std::stable_sort(labels.begin(), labels.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  labels.resize(std::min(most, labels.size()));
  entry["top_logprobs"] = OrderedJson::array();
  for (const LabelProbability& label : labels) {
    entry["top_logprobs"].push_back(logprob_json(label));
  }
  return entry;
}

}  // namespace

OrderedJson openai_logprobs(const Verdict& verdict, std::size_t most) {
  OrderedJson content = OrderedJson::array();
  std::vector<LabelProbability> risks;
  for (std::size_t i = 0; i < kRiskCount; ++i) {
    risks.push_back({risk_name(static_cast<Risk>(i)), verdict.probabilities.p[i]});
  }
  content.push_back(certain("Safety: "));
  content.push_back(chosen(std::move(risks), static_cast<std::size_t>(verdict.risk), most));
  if (verdict.category) {
    const std::size_t count =
        verdict.target == Target::kPrompt ? kQueryCategoryCount : kResponseCategoryCount;
    std::vector<LabelProbability> categories;
    for (std::size_t i = 0; i < count; ++i) {
      categories.push_back(
          {category_name(static_cast<Category>(i)), verdict.category_probabilities[i]});
    }
    content.push_back(certain("\nCategories: "));
    content.push_back(
        chosen(std::move(categories), static_cast<std::size_t>(*verdict.category), most));
  } else if (verdict.risk == Risk::kSafe) {
    content.push_back(certain("\nCategories: None"));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace qwen3guard::server
