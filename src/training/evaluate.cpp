#include "training/evaluate.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

#include "base/check.h"
#include "training/batches.h"
#include "training/losses.h"

namespace qwen3guard::training {
namespace {

/// Padded tokens scored at once.
constexpr std::size_t kBudget = 8192;

struct TokenScore {
  std::array<float, kRiskCount> p;
  int top;
};

std::vector<TokenScore> read_risks(const Tensor& logits) {
  const Tensor p = at::softmax(logits, 1).contiguous();
  std::vector<TokenScore> result(static_cast<std::size_t>(p.size(0)));
  const float* data = p.data_ptr<float>();
  for (std::size_t i = 0; i < result.size(); ++i) {
    std::copy_n(data + i * kRiskCount, kRiskCount, result[i].p.begin());
    result[i].top = static_cast<int>(std::ranges::max_element(result[i].p) - result[i].p.begin());
  }
  return result;
}

Score judge_response(const std::vector<TokenScore>& tokens) {
  Score score;
  const auto not_safe = [&](std::size_t i) { return 1.0 - static_cast<double>(tokens[i].p[0]); };
  std::size_t best = 0;
  double best_pair = -1;
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    if (!score.strict && tokens[i - 1].top != 0 && tokens[i].top != 0) {
      score.strict = true;
      score.flagged_token = i;
    }
    if (tokens[i - 1].top == 1 && tokens[i].top == 1) score.loose = true;
    const double pair = std::min(not_safe(i - 1), not_safe(i));
    if (pair > best_pair) {
      best_pair = pair;
      best = i;
    }
  }
  score.not_safe = not_safe(score.flagged_token.value_or(best));
  return score;
}

}  // namespace

std::vector<Score> score_examples(const Network& network, const std::vector<Example>& examples) {
  const at::NoGradGuard no_gradient;
  std::vector<View> views;
  const std::size_t limit = network.layout().shape.max_position_embeddings;
  for (const auto& example : examples) {
    View view{
        example.sequence.ids, example.sequence.first_judged, {}, &example, example.target, {}};
    if (view.ids.size() > limit) {
      view.ids.resize(limit);
      view.first_judged = std::min(view.first_judged, limit - 1);
    }
    views.push_back(std::move(view));
  }
  std::vector<std::size_t> order(views.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return views[i].ids.size(); });
  std::vector<View> sorted;
  for (const std::size_t i : order) sorted.push_back(views[i]);

  std::vector<Score> scores(examples.size());
  LossOptions options;
  options.class_weights = {1, 1, 1};
  for (const auto& [begin, end] : cut_by_tokens(sorted, kBudget)) {
    const std::vector<View> part(sorted.begin() + static_cast<std::ptrdiff_t>(begin),
                                 sorted.begin() + static_cast<std::ptrdiff_t>(end));
    const Batch batch = make_batch(part, 0, options);
    const Tensor hidden = network.hidden(batch_ids(batch), {}, 0);
    for (std::size_t r = 0; r < part.size(); ++r) {
      const bool query = part[r].target == Target::kPrompt;
      const auto first = static_cast<std::int64_t>(r * batch.length + part[r].first_judged);
      const auto count = static_cast<std::int64_t>(part[r].ids.size() - part[r].first_judged);
      const HeadLogits logits = network.heads(query, hidden.narrow(0, first, count), {}, 0);
      const auto tokens = read_risks(logits.risk);
      Score& score = scores[order[begin + r]];
      std::int64_t flagged = 0;
      if (query) {
        score.not_safe = 1.0 - static_cast<double>(tokens[0].p[0]);
        score.strict = tokens[0].top != 0;
        score.loose = tokens[0].top == 1;
      } else {
        score = judge_response(tokens);
        flagged = static_cast<std::int64_t>(score.flagged_token.value_or(0));
      }
      if (score.strict)
        score.category =
            static_cast<Category>(logits.category[flagged].argmax().item<std::int64_t>());
    }
  }
  return scores;
}

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
