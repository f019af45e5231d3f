// Verdicts as Azure OpenAI's content filter reports them.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "qwen3guard/verdict.h"

namespace qwen3guard::gateway {

/// "content_filter_results": every one of Azure's categories that the guard can tell of the
/// verdict's target. `filtered`: what the verdict blocks was kept back.
nlohmann::json azure_results(const Verdict& verdict, bool filtered);
/// The same for text that passed without a verdict.
nlohmann::json azure_unjudged();
/// "prompt_filter_results".
nlohmann::json azure_prompt_results(const Verdict& prompt, bool filtered);

}  // namespace qwen3guard::gateway
