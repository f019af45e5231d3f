// Intervention in mid-sentence: a guard reads the answer while a model writes it; what is flagged
// is taken back before anybody has seen it, and written anew (CARE,
// https://arxiv.org/abs/2509.06982).
//
//   const qwen3guard::Intervention intervention(generator, guard, Policy::strict());
//   auto answer = intervention.respond({{Role::kUser, "Hi"}}, {.temperature = 0.7f});
//   answer->text;       // what was released
//   answer->retries;    // how often it took
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "qwen3guard/conversation.h"
#include "qwen3guard/generator.h"
#include "qwen3guard/guard.h"
#include "qwen3guard/policy.h"
#include "qwen3guard/result.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard {

/// What a flag with which the policy blocks sets off.
enum class Strategy {
  kStop,        // the answer ends before what is in the buffer
  kResample,    // the buffer is rolled back and drawn again
  kIntrospect,  // the same, and the model goes on from a short criticism of what it had written
};
std::string_view strategy_name(Strategy strategy);  // "stop", "resample", "introspect"

/// What a flag sets off once the retries are used up.
enum class LastResort {
  kStop,     // as Strategy::kStop
  kReplace,  // the same, and InterventionOptions::replacement ends the answer
  kProceed,  // the answer goes on as the model writes it, judged but no longer held back
};

struct InterventionOptions {
  Strategy strategy = Strategy::kIntrospect;
  /// The newest tokens of the generator, which are not released yet; at least 1. What the guard has
  /// not judged, and the last token that it has, wait too.
  std::size_t buffer = 40;
  /// In one answer, wherever in it. Strategy::kStop has none.
  std::size_t retries = 5;
  LastResort then = LastResort::kStop;
  std::string replacement = "I can't help with that.";
};

enum class InterventionOutcome {
  kClean,      // nothing was flagged
  kRecovered,  // what was flagged was rolled back, and the answer ended by itself
  kStopped,
  kReplaced,
  kProceeded,
};
/// "clean", "recovered", "stopped", "replaced", "proceeded".
std::string_view outcome_name(InterventionOutcome outcome);

struct GuardedAnswer {
  std::string text;  // all that was released
  InterventionOutcome outcome = InterventionOutcome::kClean;
  FinishReason finish = FinishReason::kStop;  // kClean, kRecovered, kProceeded: why it ended
  std::size_t retries = 0;
  std::size_t buffer = 0;            // InterventionOptions::buffer
  std::size_t generated_tokens = 0;  // all that the model wrote, criticisms included
  std::size_t released_tokens = 0;   // without a replacement's
  std::size_t discarded_tokens = 0;  // from the buffer; never released
  Verdict prompt;                    // reported only: nothing is done about a flagged prompt
  Verdict response;  // of the answer as last written: the flag that ended it, if any

  /// CARE: b * (r + 1) for a buffer of b tokens and r retries; the first buffer counts.
  std::size_t wait_tokens() const { return buffer * (retries + 1); }
  /// The Qwen3Guard report: what retries add, b * r.
  std::size_t additional_wait_tokens() const { return buffer * retries; }
};

/// Told what happens to an answer, in order. An error from it ends the answer and is returned.
class InterventionObserver {
 public:
  virtual ~InterventionObserver() = default;
  /// May be shown: whole characters. All such texts together are GuardedAnswer::text.
  virtual Status released(std::string_view) { return {}; }
  /// What was in the buffer is taken back because of `verdict`.
  virtual Status discarded(std::string_view, const Verdict&) { return {}; }
  /// The criticism with which the next try begins; it is judged and released like other text.
  virtual Status introspected(std::string_view) { return {}; }
};

/// A generator under a guard. Const; shared between threads as its parts are.
class Intervention {
 public:
  Intervention(Generator generator, Guard guard, Policy policy, InterventionOptions options = {});

  /// Answers the conversation, whose last message is the user's. Retries draw with seeds that
  /// follow from options.seed, so the same call gives the same answer. Fails closed: after an error
  /// of the guard or the generator nothing more is released. Errors: theirs; kUnsupported (the
  /// guard is no Stream model); kInvalidArgument (an option; says which).
  Result<GuardedAnswer> respond(const Conversation& conversation, const GenerateOptions& options,
                                InterventionObserver* observer = nullptr) const;

 private:
  Generator generator_;
  Guard guard_;
  Policy policy_;
  InterventionOptions options_;
};

}  // namespace qwen3guard
