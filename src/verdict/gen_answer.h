// The Gen models' answer: "Safety: …\nCategories: …\nRefusal: …".
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard::verdict {

struct GenAnswer {
  Risk risk = Risk::kSafe;
  std::vector<Category> categories;  // in the order of the answer; empty for "None"
  std::optional<bool> refusal;       // responses only
};

/// Parses strictly: exactly the lines that the prompt asks for (two for a prompt, three for a
/// response), known labels, Jailbreak for prompts only, no category when Safe ("None" beside Unsafe
/// is accepted: the risk stands). White space at the end of a line or of the text is accepted.
/// Error: kUnparseableVerdict, naming the line; an answer that does not parse is never a verdict.
Result<GenAnswer> parse_gen_answer(std::string_view text, Target target);

}  // namespace qwen3guard::verdict
