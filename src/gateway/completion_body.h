// A chat completion that comes as one JSON object.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/answer_options.h"
#include "gateway/choice_text.h"
#include "gateway/response_filter.h"
#include "qwen3guard/result.h"

namespace qwen3guard::gateway {

struct GuardedBody {
  std::string body;  // for the client
  std::vector<Verdict> verdicts;
  bool blocked = false;
  bool wants_retry = false;  // blocked, and its filter may be rolled back for another answer
  bool failed_open = false;
};

class CompletionBody {
 public:
  /// Errors are the upstream's: what it sent is no chat completion of at most that many choices.
  static Result<CompletionBody> parse(std::string_view body, std::size_t most_choices);

  /// Judges every choice whole; what is flagged is cut or replaced. Errors are the guard's; none if
  /// failing open. `prompt` is for annotations. After a roll-back the answer goes on with what the
  /// filter has. REQUIRES: a filter for each choice.
  Result<GuardedBody> guard(std::vector<ResponseFilter>& filters, const Verdict& prompt,
                            const AnswerOptions& options, const VerdictJson& verdict_json) &&;

 private:
  CompletionBody() = default;

  nlohmann::json body_;
  std::vector<ChoiceText> texts_;
};

}  // namespace qwen3guard::gateway
