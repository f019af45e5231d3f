#include "training/figures.h"

#include <array>
#include <cstdio>

#include "base/check.h"

namespace qwen3guard::training {

SetFigures figures(const std::vector<const Example*>& examples, const std::vector<Score>& scores) {
  QG_CHECK(examples.size() == scores.size());
  SetFigures result;
  result.rows = examples.size();
  std::vector<bool> positive;
  std::vector<double> value;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    QG_CHECK(examples[i]->label.has_value());
    const Risk label = *examples[i]->label;
    positive.push_back(label != Risk::kSafe);
    value.push_back(scores[i].not_safe);
    result.strict.add(label != Risk::kSafe, scores[i].strict);
    result.loose.add(label == Risk::kUnsafe, scores[i].loose);
    if (examples[i]->category && scores[i].category) {
      ++result.category_known;
      if (examples[i]->category == scores[i].category) ++result.category_right;
    }
  }
  result.auroc = auroc(positive, value);
  return result;
}

std::map<std::string, SetFigures> figures_by_source(const std::vector<Example>& examples,
                                                    const std::vector<std::string>& sources,
                                                    const std::vector<Score>& scores) {
  std::map<std::string, std::pair<std::vector<const Example*>, std::vector<Score>>> groups;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    auto& group = groups[sources[examples[i].source]];
    group.first.push_back(&examples[i]);
    group.second.push_back(scores[i]);
  }
  std::map<std::string, SetFigures> result;
  for (const auto& [name, group] : groups) result[name] = figures(group.first, group.second);
  return result;
}

std::string format_figures(const std::map<std::string, SetFigures>& all) {
  std::string text =
      "set                          rows   AUROC  F1 strict  F1 loose  recall  flagged  false pos. "
      " category\n";
  for (const auto& [name, f] : all) {
    std::array<char, 200> line{};
    std::array<char, 16> area{"     -"};
    if (f.auroc) std::snprintf(area.data(), area.size(), "%6.4f", *f.auroc);
    std::array<char, 16> category{"-"};
    if (f.category_known > 0) {
      std::snprintf(
          category.data(), category.size(), "%.1f",
          100.0 * static_cast<double>(f.category_right) / static_cast<double>(f.category_known));
    }
    std::snprintf(line.data(), line.size(),
                  "%-27s %6zu  %6s     %6.2f    %6.2f  %6.2f   %6.2f      %6.2f    %6s\n",
                  name.c_str(), f.rows, area.data(), f.strict.f1(), f.loose.f1(), f.strict.recall(),
                  f.strict.flagged(), f.strict.false_positive_rate(), category.data());
    text += line.data();
  }
  return text;
}

}  // namespace qwen3guard::training
