// Verdicts of a Gen model.
#pragma once

#include "engine/loaded.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::engine {

/// Judges the last message by the method of loaded.options(). Errors: kUnparseableVerdict (greedy
/// text that is not a verdict), kTooLong, kInvalidConversation.
Result<Verdict> moderate_gen(const Loaded& loaded, const Conversation& conversation,
                             const Policy& policy);

/// The text that the model writes after the Gen prompt, greedily, at most `max_tokens` tokens,
/// without the closing <|im_end|>. For comparison with the reference. REQUIRES: a model loaded for
/// GenMethod::kGreedy.
Result<std::string> write_gen_answer(const Loaded& loaded, const Conversation& conversation,
                                     std::size_t max_tokens);

}  // namespace qwen3guard::engine
