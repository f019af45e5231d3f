// How an answer looks that was written under a guard: text with what was taken back struck through,
// or JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "apps/output.h"
#include "apps/terminal.h"
#include "formats/verdict_json.h"
#include "qwen3guard/intervention.h"

namespace qwen3guard::apps {

/// For people, as it happens. Without colour, markers: "[discarded> … <]".
class InterventionText final : public InterventionObserver {
 public:
  /// All outlive it.
  InterventionText(Output& output, const Guard& guard, Palette palette)
      : output_(output), guard_(guard), palette_(palette) {}

  Status released(std::string_view text) override;
  Status discarded(std::string_view text, const Verdict& verdict) override;
  Status introspected(std::string_view criticism) override;
  /// The last call: the outcome and its figures.
  Status end(const GuardedAnswer& answer, double seconds);
  /// Instead of end().
  Status failed();

 private:
  Status print(std::string_view text);

  Output& output_;
  const Guard& guard_;
  const Palette palette_;
};

/// For JSON: what was taken back, in order.
class InterventionRecord final : public InterventionObserver {
 public:
  explicit InterventionRecord(const Guard& guard) : guard_(guard) {}

  Status discarded(std::string_view text, const Verdict& verdict) override;
  Status introspected(std::string_view criticism) override;

  /// One line of output: docs/intervention.md.
  std::string line(const nlohmann::json& id, std::string_view strategy,
                   const GuardedAnswer& answer) const;

 private:
  const Guard& guard_;
  formats::OrderedJson discarded_ = formats::OrderedJson::array();
};

/// The same for an answer that failed.
std::string failed_line(const nlohmann::json& id, std::string_view strategy, const Error& error);

}  // namespace qwen3guard::apps
