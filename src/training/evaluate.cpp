#include "training/evaluate.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/try.h"
#include "training/batches.h"
#include "training/losses.h"
#include "training/network.h"

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
    View view = view_of(example);
    view.onset.reset();
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

Scorer::Scorer(std::unique_ptr<Network> network) : network_(std::move(network)) {}
Scorer::Scorer(Scorer&&) noexcept = default;
Scorer& Scorer::operator=(Scorer&&) noexcept = default;
Scorer::~Scorer() = default;

Result<Scorer> Scorer::open(const std::filesystem::path& directory, std::size_t vocabulary,
                            Precision precision) {
  QG_TRY(const CheckpointShape checkpoint, read_checkpoint_shape(directory, {}));
  if (checkpoint.vocabulary < vocabulary) {
    return Error{ErrorCode::kCorruptFile,
                 directory.string() + ": config.json states fewer tokens (" +
                     std::to_string(checkpoint.vocabulary) + ") than tokenizer.json has (" +
                     std::to_string(vocabulary) + ")"};
  }
  const Layout layout = make_layout(checkpoint.shape, checkpoint.vocabulary);
  std::vector<float> weights(layout.total, 0.0f);
  QG_TRY(const std::size_t read, import_checkpoint(layout, directory, weights));
  static_cast<void>(read);
  return Scorer(std::make_unique<Network>(layout, std::move(weights), precision));
}

std::vector<Score> Scorer::score(const std::vector<Example>& examples) const {
  return score_examples(*network_, examples);
}

std::size_t Scorer::parameters() const { return network_->layout().total; }

void set_threads(int threads) { at::set_num_threads(threads); }

}  // namespace qwen3guard::training
