// A verdict's probabilities in the shape of OpenAI's log-probabilities.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>

#include "qwen3guard/verdict.h"

namespace qwen3guard::server {

/// {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null} for the answer
/// that Qwen3Guard-Gen would write. A "token" is a label, or the text between labels, which is
/// certain: the probability of a label is that among labels, whatever the model's vocabulary.
/// `most` alternatives are listed for each label. The list ends where the verdict has no
/// probability.
nlohmann::ordered_json openai_logprobs(const Verdict& verdict, std::size_t most);

}  // namespace qwen3guard::server
