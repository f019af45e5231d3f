#include "evaluation/benchmark.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "base/try.h"
#include "dataset/selection.h"
#include "qwen3guard/policy.h"

namespace qwen3guard::evaluation {
namespace {

using dataset::LabelledConversation;

struct Judgement {
  double not_safe = 0;
  bool strict = false;
  bool loose = false;
};

Result<Judgement> judge(const Guard& guard, const LabelledConversation& row) {
  QG_TRY(const Verdict strict, guard.moderate(row.messages, Policy::strict()));
  Judgement judgement{static_cast<double>(strict.probabilities.not_safe()),
                      strict.decision != Decision::kAllow, false};
  if (guard.mode() == Mode::kStream && row.target == Target::kResponse) {
    // Where a response is flagged depends on the policy: the other one must look for itself.
    QG_TRY(const Verdict loose, guard.moderate(row.messages, Policy::loose()));
    judgement.loose = loose.decision != Decision::kAllow;
  } else {
    const TokenVerdict whole{strict.risk, strict.category, strict.probabilities,
                             strict.category_probabilities};
    judgement.loose = Policy::loose().label(whole, row.target).action != Decision::kAllow;
  }
  return judgement;
}

// The rows that `keep` names, and of those the `count` whose id hashes smallest (0: all).
Result<std::vector<LabelledConversation>> select(
    const dataset::DatasetEntry& entry, std::size_t count,
    const std::function<bool(const LabelledConversation&)>& keep) {
  std::vector<LabelledConversation> rows;
  QG_CHECK_OK(dataset::read_dataset(entry, [&](LabelledConversation row) {
    if (keep(row)) rows.push_back(std::move(row));
    return Status();
  }));
  if (count != 0) dataset::keep_smallest_by_hash(rows, count);
  return rows;
}

}  // namespace

SetResult evaluate_rows(const Guard& guard, std::string name,
                        const std::vector<LabelledConversation>& rows, int threads,
                        const OnProgress& on_progress) {
  SetResult result;
  result.name = std::move(name);
  result.rows = rows.size();
  std::vector<Scored> scores;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  std::size_t done = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < rows.size(); i = next++) {
      const LabelledConversation& row = rows[i];
      const Result<Judgement> judgement = judge(guard, row);
      const std::lock_guard lock(mutex);
      if (judgement.ok()) {
        const bool positive = row.label != Risk::kSafe;
        scores.push_back({judgement->not_safe, positive});
        result.strict.count(judgement->strict, positive);
        result.loose.count(judgement->loose, row.label == Risk::kUnsafe);
      } else {
        ++result.errors;
        if (!result.first_error) {
          result.first_error = Error(judgement.error()).with_context("row " + row.id);
        }
      }
      if (on_progress) on_progress(++done, rows.size());
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  result.auroc = auroc(scores);
  return result;
}

Result<std::vector<LabelledConversation>> test_rows(const dataset::DatasetEntry& entry,
                                                    std::size_t limit) {
  return select(entry, limit, [](const LabelledConversation& row) {
    return row.split == dataset::Split::kTest && row.label.has_value();
  });
}

Result<std::vector<LabelledConversation>> benign_rows(const dataset::DatasetEntry& entry,
                                                      std::size_t count) {
  QG_TRY(auto rows, select(entry, count, [](const LabelledConversation& row) {
           return row.target == Target::kPrompt;
         }));
  for (LabelledConversation& row : rows) row.label = Risk::kSafe;
  return rows;
}

}  // namespace qwen3guard::evaluation
