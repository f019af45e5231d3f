// A policy file: either an error, or a policy that labels any token consistently.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "qwen3guard/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qwen3guard;
  const auto policy = Policy::parse({reinterpret_cast<const char*>(data), size});
  if (!policy.ok()) return 0;
  constexpr std::array<float, 5> kProbabilities = {0.0f, 0.2f, 0.5f, 0.8f, 1.0f};
  for (const Target target : {Target::kPrompt, Target::kResponse}) {
    const std::size_t categories =
        target == Target::kPrompt ? kQueryCategoryCount : kResponseCategoryCount;
    for (std::size_t category = 0; category < categories; ++category) {
      for (const float unsafe : kProbabilities) {
        TokenVerdict token;
        token.probabilities.p = {(1 - unsafe) / 2, unsafe, (1 - unsafe) / 2};
        token.risk = unsafe > 0.34f ? Risk::kUnsafe : Risk::kSafe;
        token.category_probabilities[category] = 1;
        const TokenLabel label = policy->label(token, target);
        if ((label.risk == Risk::kSafe) != (label.action == Decision::kAllow)) std::abort();
        // The action is the rule's, or nothing is done.
        const Policy::Rule& rule = policy->rules(target)[category];
        if (label.action != Decision::kAllow && label.action != rule.action) std::abort();
      }
    }
  }
  return 0;
}
