#include "training/metrics.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace qwen3guard::training {
namespace {

double percent(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::optional<double> auroc(const std::vector<bool>& positive, const std::vector<double>& score) {
  QG_CHECK(positive.size() == score.size());
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return score[i]; });
  double rank_sum = 0;
  std::size_t positives = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && score[order[end]] == score[order[begin]]) ++end;
    const double rank = (static_cast<double>(begin + end) + 1) / 2;  // mean rank of the tie, from 1
    for (std::size_t i = begin; i < end; ++i) {
      if (positive[order[i]]) {
        rank_sum += rank;
        ++positives;
      }
    }
    begin = end;
  }
  const std::size_t negatives = order.size() - positives;
  if (positives == 0 || negatives == 0) return std::nullopt;
  const double p = static_cast<double>(positives);
  return (rank_sum - p * (p + 1) / 2) / (p * static_cast<double>(negatives));
}

void Counts::add(bool positive, bool is_flagged) {
  ++(positive ? (is_flagged ? true_positive : false_negative)
              : (is_flagged ? false_positive : true_negative));
}
double Counts::f1() const {
  return percent(2 * true_positive, 2 * true_positive + false_positive + false_negative);
}
double Counts::recall() const { return percent(true_positive, true_positive + false_negative); }
double Counts::precision() const { return percent(true_positive, true_positive + false_positive); }
double Counts::flagged() const { return percent(true_positive + false_positive, rows()); }
double Counts::false_positive_rate() const {
  return percent(false_positive, false_positive + true_negative);
}

}  // namespace qwen3guard::training
