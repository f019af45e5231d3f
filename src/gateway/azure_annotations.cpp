#include "gateway/azure_annotations.h"

#include <array>
#include <nlohmann/json.hpp>

namespace qwen3guard::gateway {
namespace {

using nlohmann::json;

struct AzureCategory {
  const char* name;
  Category ours;
};

// Illegal acts, political topics and PII have no key there.
constexpr std::array<AzureCategory, 4> kGraded = {{{"hate", Category::kUnethical},
                                                   {"self_harm", Category::kSelfHarm},
                                                   {"sexual", Category::kSexual},
                                                   {"violence", Category::kViolent}}};

// Azure filters from "medium" on, unless told otherwise.
const char* severity(Risk risk) {
  switch (risk) {
    case Risk::kUnsafe:
      return "high";
    case Risk::kControversial:
      return "medium";
    case Risk::kSafe:
      break;
  }
  return "safe";
}

}  // namespace

json azure_results(const Verdict& verdict, bool filtered) {
  const auto found = [&](Category category) {
    return verdict.risk != Risk::kSafe && verdict.category == category;
  };
  json results;
  for (const auto& [name, ours] : kGraded) {
    results[name] = {{"filtered", filtered && found(ours)},
                     {"severity", severity(found(ours) ? verdict.risk : Risk::kSafe)}};
  }
  const bool prompt = verdict.target == Target::kPrompt;
  const Category detected = prompt ? Category::kJailbreak : Category::kCopyright;
  results[prompt ? "jailbreak" : "protected_material_text"] = {
      {"filtered", filtered && found(detected)}, {"detected", found(detected)}};
  return results;
}

json azure_unjudged() {
  return {{"error", {{"code", "content_filter_error"}, {"message", "not judged"}}}};
}

json azure_prompt_results(const Verdict& prompt, bool filtered) {
  const json result = {{"prompt_index", 0},
                       {"content_filter_results", azure_results(prompt, filtered)}};
  return json::array({result});
}

}  // namespace qwen3guard::gateway
