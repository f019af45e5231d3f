#include "server/openai_categories.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "formats/verdict_json.h"

namespace qwen3guard::server {
namespace {

using formats::OrderedJson;

struct OpenAiCategory {
  const char* name;
  std::optional<Category> ours;
};

// Unethical Acts covers hate and harassment together. Where OpenAI splits a category more finely
// than the guard does, the finer key stays false: the guard cannot tell. Political topics, PII,
// copyright and jailbreaks have no key here: they set "flagged", and "qwen3guard" names them.
constexpr std::array<OpenAiCategory, 13> kOpenAiCategories = {{
    {"harassment", Category::kUnethical},
    {"harassment/threatening", std::nullopt},
    {"hate", Category::kUnethical},
    {"hate/threatening", std::nullopt},
    {"illicit", Category::kIllegalActs},
    {"illicit/violent", std::nullopt},
    {"self-harm", Category::kSelfHarm},
    {"self-harm/intent", std::nullopt},
    {"self-harm/instructions", std::nullopt},
    {"sexual", Category::kSexual},
    {"sexual/minors", std::nullopt},
    {"violence", Category::kViolent},
    {"violence/graphic", std::nullopt},
}};

}  // namespace

OrderedJson openai_result(const Verdict& verdict) {
  const bool flagged = verdict.decision != Decision::kAllow;
  OrderedJson categories, scores, types;
  for (const auto& [name, ours] : kOpenAiCategories) {
    categories[name] = flagged && ours && verdict.category == ours;
    const float score = ours ? verdict.probabilities.not_safe() *
                                   verdict.category_probabilities[static_cast<std::size_t>(*ours)]
                             : 0.0f;
    scores[name] = formats::shortest(score);
    types[name] = OrderedJson::array({"text"});
  }
  return {{"flagged", flagged},
          {"categories", categories},
          {"category_scores", scores},
          {"category_applied_input_types", types}};
}

}  // namespace qwen3guard::server
