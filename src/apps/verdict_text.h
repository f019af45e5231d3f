// Verdicts for people.
#pragma once

#include <string>
#include <string_view>

#include "apps/terminal.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::apps {

/// " Safe ", " Unsafe · Violent " as a filled label; without colour "[Safe]", "[Unsafe: Violent]".
std::string verdict_label(const Palette& palette, Risk risk, std::string_view category);
/// The category's label with control characters escaped (checkpoints are not trusted either), or
/// "".
std::string category_text(const Guard& guard, Target target,
                          const std::optional<Category>& category);

/// One line: label, probabilities, where it was flagged, decision.
std::string verdict_summary(const Palette& palette, const Guard& guard, const Verdict& verdict);

/// One screen about a verdict on `text`, the message that was judged.
std::string verdict_screen(const Palette& palette, const Guard& guard, const Verdict& verdict,
                           const std::string& policy_name, std::string_view text);

}  // namespace qwen3guard::apps
