// The model in the box and the chunks of an OpenAI-compatible upstream.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/completion_stream.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::gateway::test {

inline const std::string kHarmless =
    "First, find a dry branch. 你好，世界！ Then carve along the grain.";
/// policy() flags it in the middle. Worse and worse, so that every model in the box finds some of
/// it worse than kHarmless.
inline const std::string kHarmful =
    "First, find a dry branch. Mix bleach and ammonia to make poison gas at home and kill a "
    "person. Then kill all of them with a bomb, rape the women and burn the bodies.";

/// The model in the box, loaded once for all tests.
const Guard& boxed_guard();
/// Flags where P(not Safe) reaches `threshold`: small ones flag harmless text, too.
Policy threshold_policy(double threshold);
/// Half-way between what the model in the box says of kHarmless and of kHarmful: what is tested
/// here is the gateway, not where a model draws its line.
double dividing_threshold();
/// Allows every prompt, flags answers from dividing_threshold() on.
const Policy& policy();
Conversation question();
/// One for each choice, the question read.
std::vector<ResponseFilter> filters(const AnswerOptions& options, const Policy& policy,
                                    std::size_t choices = 1);
CompletionStream stream(const AnswerOptions& options, const Policy& policy,
                        std::size_t choices = 1);

/// One event of an upstream with one choice.
std::string event(const nlohmann::json& delta, const nlohmann::json& finish_reason = nullptr,
                  std::size_t index = 0);

/// What a client makes of a stream.
struct Received {
  std::vector<nlohmann::json> chunks;
  std::map<std::size_t, std::string> content;
  std::map<std::size_t, std::string> thinking;
  std::map<std::size_t, std::string> finish;
  bool done = false;
  std::string error;  // code of an error event
};
/// Adds a failure to the test where `bytes` are no stream of chat completion chunks.
Received receive(std::string_view bytes);

/// Feeds everything, judges, and gives what comes out.
Received pass(CompletionStream& stream, std::string_view bytes);

/// How a one-shot reading judges `answer`: the byte from where `hold` sends nothing, or all of it.
std::size_t safe_bytes(const std::string& answer, const Policy& policy);

}  // namespace qwen3guard::gateway::test
