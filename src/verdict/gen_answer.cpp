#include "verdict/gen_answer.h"

#include <algorithm>
#include <string>

#include "base/try.h"

namespace qwen3guard::verdict {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

std::string_view trim_right(std::string_view text) {
  const std::size_t last = text.find_last_not_of(kBlank);
  return last == std::string_view::npos ? std::string_view{} : text.substr(0, last + 1);
}

Error unparseable(std::string_view expected, std::string_view found) {
  std::string shown(found.substr(0, 80));
  return {ErrorCode::kUnparseableVerdict, "the model's answer is not a verdict: expected " +
                                              std::string(expected) + ", found \"" + shown + "\""};
}

// Takes the first line off `text` and returns what follows `key` in it.
Result<std::string_view> take_line(std::string_view& text, std::string_view key) {
  const std::size_t end = text.find('\n');
  const std::string_view line = trim_right(text.substr(0, end));
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  if (!line.starts_with(key)) return unparseable("a line \"" + std::string(key) + "…\"", line);
  return line.substr(key.size());
}

Result<std::vector<Category>> parse_categories(std::string_view list, Target target) {
  std::vector<Category> categories;
  if (list == "None") return categories;
  for (;;) {
    const std::size_t comma = list.find(", ");
    const std::string_view name = list.substr(0, comma);
    const std::optional<Category> category = parse_category(name);
    if (!category || (target == Target::kResponse && *category == Category::kJailbreak)) {
      return unparseable("a known category", name);
    }
    if (std::find(categories.begin(), categories.end(), *category) == categories.end()) {
      categories.push_back(*category);
    }
    if (comma == std::string_view::npos) return categories;
    list.remove_prefix(comma + 2);
  }
}

}  // namespace

Result<GenAnswer> parse_gen_answer(std::string_view text, Target target) {
  GenAnswer answer;
  std::string_view rest = trim_right(text);
  QG_TRY(const std::string_view safety, take_line(rest, "Safety: "));
  const std::optional<Risk> risk = parse_risk(safety);
  if (!risk) return unparseable("Safe, Unsafe or Controversial after \"Safety: \"", safety);
  answer.risk = *risk;

  QG_TRY(const std::string_view list, take_line(rest, "Categories: "));
  QG_TRY(answer.categories, parse_categories(list, target));
  if (answer.risk == Risk::kSafe && !answer.categories.empty()) {
    return unparseable("\"Categories: None\" in a Safe answer", list);
  }

  if (target == Target::kResponse) {
    QG_TRY(const std::string_view refusal, take_line(rest, "Refusal: "));
    if (refusal != "Yes" && refusal != "No")
      return unparseable("Yes or No after \"Refusal: \"", refusal);
    answer.refusal = refusal == "Yes";
  }
  if (!rest.empty()) return unparseable("nothing after the last line", rest);
  return answer;
}

}  // namespace qwen3guard::verdict
