#include "apps/intervention_view.h"

#include <cstdio>

#include "apps/verdict_text.h"
#include "base/try.h"

namespace qwen3guard::apps {
namespace {

bool ended_by_itself(const GuardedAnswer& answer) {
  return answer.outcome != InterventionOutcome::kStopped &&
         answer.outcome != InterventionOutcome::kReplaced;
}

}  // namespace

// What may be seen is shown at once.
Status InterventionText::print(std::string_view text) {
  QG_CHECK_OK(output_.write(text));
  return output_.flush();
}

Status InterventionText::released(std::string_view text) { return print(escape_controls(text)); }

Status InterventionText::discarded(std::string_view text, const Verdict& verdict) {
  const std::string shown = escape_controls(text);
  const std::string label = verdict_label(
      palette_, verdict.risk, category_text(guard_, Target::kResponse, verdict.category));
  return print(
      (palette_.colour() ? std::string(palette_.struck()) + shown : "[discarded> " + shown + "<]") +
      std::string(palette_.reset()) + label);
}

Status InterventionText::introspected(std::string_view) {
  return print(std::string(palette_.dim()) + "[introspects]" + std::string(palette_.reset()));
}

Status InterventionText::end(const GuardedAnswer& answer, double seconds) {
  char speed[32];
  std::snprintf(speed, sizeof speed, "%.1f",
                static_cast<double>(answer.generated_tokens) / seconds);
  const auto n = [](std::size_t number) { return std::to_string(number); };
  return print("\n" + std::string(palette_.bold()) + std::string(outcome_name(answer.outcome)) +
               std::string(palette_.reset()) + "  " + n(answer.retries) + " retries, waits " +
               n(answer.wait_tokens()) + " tokens (" + n(answer.additional_wait_tokens()) +
               " for retries); " + n(answer.generated_tokens) + " written, " +
               n(answer.discarded_tokens) + " discarded, " + n(answer.released_tokens) +
               " released; " + speed + " tokens/s\n");
}

Status InterventionText::failed() {
  return print("\n" + std::string(palette_.text(Risk::kUnsafe)) +
               "could not be judged: the rest is withheld" + std::string(palette_.reset()) + "\n");
}

Status InterventionRecord::discarded(std::string_view text, const Verdict& verdict) {
  discarded_.push_back(
      {{"text", text},
       {"risk", risk_name(verdict.risk)},
       {"category", formats::category_json(guard_, Target::kResponse, verdict.category)},
       {"flagged", formats::flag_json(verdict.flagged)},
       {"introspection", nullptr}});
  return {};
}

Status InterventionRecord::introspected(std::string_view criticism) {
  discarded_.back()["introspection"] = criticism;
  return {};
}

std::string InterventionRecord::line(const nlohmann::json& id, std::string_view strategy,
                                     const GuardedAnswer& answer) const {
  formats::OrderedJson object = {
      {"id", id},
      {"strategy", strategy},
      {"text", answer.text},
      {"outcome", outcome_name(answer.outcome)},
      {"finish", ended_by_itself(answer) ? formats::OrderedJson(finish_reason_name(answer.finish))
                                         : formats::OrderedJson(nullptr)},
      {"retries", answer.retries},
      {"wait_tokens", answer.wait_tokens()},
      {"additional_wait_tokens", answer.additional_wait_tokens()},
      {"generated_tokens", answer.generated_tokens},
      {"discarded_tokens", answer.discarded_tokens},
      {"released_tokens", answer.released_tokens},
      {"discarded", discarded_},
      {"prompt", formats::OrderedJson::object()},
      {"response", formats::OrderedJson::object()}};
  formats::add_verdict(guard_, answer.prompt, object["prompt"]);
  formats::add_verdict(guard_, answer.response, object["response"]);
  return formats::to_line(object);
}

std::string failed_line(const nlohmann::json& id, std::string_view strategy, const Error& error) {
  return formats::to_line(
      {{"id", id},
       {"strategy", strategy},
       {"error", {{"code", error_code_name(error.code)}, {"message", error.message}}}});
}

}  // namespace qwen3guard::apps
