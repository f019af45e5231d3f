#include "qwen3guard/intervention.h"

#include <utility>

#include "base/try.h"
#include "intervention/guarded_writing.h"
#include "intervention/local_writer.h"

namespace qwen3guard {
namespace {

Status check_options(const InterventionOptions& options, const GenerateOptions& writing) {
  if (options.buffer == 0)
    return Error{ErrorCode::kInvalidArgument, "buffer: expected 1 or more tokens, found 0"};
  if (options.strategy == Strategy::kResample && options.retries > 0 && writing.temperature == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "strategy resample: expected a temperature of more than 0, found 0, with which "
                 "every retry would write the same"};
  }
  return {};
}

}  // namespace

std::string_view strategy_name(Strategy strategy) {
  switch (strategy) {
    case Strategy::kStop:
      return "stop";
    case Strategy::kResample:
      return "resample";
    case Strategy::kIntrospect:
      return "introspect";
  }
  return "";
}

std::string_view outcome_name(InterventionOutcome outcome) {
  switch (outcome) {
    case InterventionOutcome::kClean:
      return "clean";
    case InterventionOutcome::kRecovered:
      return "recovered";
    case InterventionOutcome::kStopped:
      return "stopped";
    case InterventionOutcome::kReplaced:
      return "replaced";
    case InterventionOutcome::kProceeded:
      return "proceeded";
  }
  return "";
}

Intervention::Intervention(Generator generator, Guard guard, Policy policy,
                           InterventionOptions options)
    : generator_(std::move(generator)),
      guard_(std::move(guard)),
      policy_(std::move(policy)),
      options_(std::move(options)) {}

Result<GuardedAnswer> Intervention::respond(const Conversation& conversation,
                                            const GenerateOptions& options,
                                            InterventionObserver* observer) const {
  QG_CHECK_OK(check_options(options_, options));
  QG_TRY(Session session, guard_.open(conversation, policy_));
  QG_TRY(auto writer, intervention::LocalWriter::open(generator_, conversation, options));
  InterventionObserver nobody;
  return intervention::GuardedWriting(writer, session, conversation.back().content, options_,
                                      observer != nullptr ? *observer : nobody)
      .run();
}

}  // namespace qwen3guard
