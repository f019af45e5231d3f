// OpenAI's moderation categories from ours.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "qwen3guard/verdict.h"

namespace qwen3guard::server {

/// "flagged", "categories", "category_scores" and "category_applied_input_types" of one result,
/// with all 13 of OpenAI's keys, which typed clients require.
nlohmann::ordered_json openai_result(const Verdict& verdict);

}  // namespace qwen3guard::server
