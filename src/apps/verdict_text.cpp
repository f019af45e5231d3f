#include "apps/verdict_text.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <vector>

#include "tokens/utf8.h"

namespace qwen3guard::apps {
namespace {

std::string number(float value) {
  char text[16];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(value));
  return text;
}

std::string probabilities_text(const Palette& palette, const RiskProbabilities& p) {
  std::string text;
  for (const auto& [risk, name] :
       {std::pair{Risk::kSafe, "safe "}, std::pair{Risk::kControversial, "controversial "},
        std::pair{Risk::kUnsafe, "unsafe "}}) {
    if (!text.empty()) text += "  ";
    text += name;
    text += palette.text(risk);
    text += number(p[risk]) + std::string(palette.reset());
  }
  return text;
}

// A few characters around the byte where a response was flagged.
std::string excerpt(const Palette& palette, std::string_view text, std::size_t byte) {
  constexpr std::size_t kBefore = 30, kAfter = 40;
  if (byte > text.size()) return {};
  std::size_t begin = byte > kBefore ? byte - kBefore : 0;
  while (begin < byte && tokens::is_continuation(text[begin])) ++begin;
  std::size_t end = std::min(text.size(), byte + kAfter);
  while (end < text.size() && tokens::is_continuation(text[end])) ++end;
  const auto one_line = [](std::string_view part) {
    std::string line = escape_controls(part);
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
  };
  std::string result = (begin > 0 ? "…" : "") + one_line(text.substr(begin, byte - begin));
  result += palette.colour() ? std::string(palette.text(Risk::kUnsafe)) : std::string(">>>");
  result += one_line(text.substr(byte, end - byte));
  result += palette.reset();
  return result + (end < text.size() ? "…" : "");
}

std::string flag_text(const FlagPosition& flag) {
  return "flagged at token " + std::to_string(flag.token) + (flag.thinking ? " (thinking)" : "") +
         ", byte " + std::to_string(flag.byte) + ", character " + std::to_string(flag.character);
}

}  // namespace

std::string category_text(const Guard& guard, Target target,
                          const std::optional<Category>& category) {
  return category ? escape_controls(guard.category_label(target, *category)) : std::string();
}

std::string verdict_label(const Palette& palette, Risk risk, std::string_view category) {
  std::string text(risk_name(risk));
  if (!category.empty()) text += (palette.colour() ? " · " : ": ") + std::string(category);
  if (!palette.colour()) return "[" + text + "]";
  return std::string(palette.label(risk)) + " " + text + " " + std::string(palette.reset());
}

std::string verdict_summary(const Palette& palette, const Guard& guard, const Verdict& verdict) {
  std::string line =
      verdict_label(palette, verdict.risk, category_text(guard, verdict.target, verdict.category));
  line += " " + std::string(decision_name(verdict.decision));
  if (verdict.flagged) line += ", " + flag_text(*verdict.flagged);
  line += "  " + std::string(palette.dim()) + "not safe " +
          number(verdict.probabilities.not_safe()) + std::string(palette.reset());
  if (verdict.window_slid) line += "  (judged through a sliding window)";
  return line;
}

std::string verdict_screen(const Palette& palette, const Guard& guard, const Verdict& verdict,
                           const std::string& policy_name, std::string_view text) {
  std::string out =
      std::string(palette.bold()) + std::string(target_name(verdict.target)) +
      std::string(palette.reset()) + "  " +
      verdict_label(palette, verdict.risk, category_text(guard, verdict.target, verdict.category)) +
      "  " + std::string(decision_name(verdict.decision)) + "\n";
  out += "  " + probabilities_text(palette, verdict.probabilities) + "\n";
  if (verdict.flagged) {
    out += "  " + flag_text(*verdict.flagged);
    if (!verdict.flagged->thinking) out += ": " + excerpt(palette, text, verdict.flagged->byte);
    out += "\n";
  }
  if (verdict.risk != Risk::kSafe) {
    const std::size_t count =
        verdict.target == Target::kPrompt ? kQueryCategoryCount : kResponseCategoryCount;
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto& p = verdict.category_probabilities;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
    std::string line;
    for (std::size_t i = 0; i < 3; ++i) {
      line += (i == 0 ? "" : ", ") +
              category_text(guard, verdict.target, static_cast<Category>(order[i])) + " " +
              number(p[order[i]]);
    }
    out += "  if not safe: " + line + "\n";
  }
  if (verdict.refusal) out += std::string("  refusal: ") + (*verdict.refusal ? "yes" : "no") + "\n";
  if (verdict.window_slid)
    out += "  judged through a sliding window: the response outgrew the model\n";
  out += std::string(palette.dim()) + "  policy " + escape_controls(policy_name) + ", " +
         std::to_string(verdict.tokens) + " tokens" + std::string(palette.reset()) + "\n";
  return out;
}

}  // namespace qwen3guard::apps
