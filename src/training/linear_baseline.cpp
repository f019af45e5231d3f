#include "training/linear_baseline.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <string_view>
#include <thread>
#include <utility>

#include "base/aligned_memory.h"
#include "base/random.h"
#include "training/augment.h"

namespace qwen3guard::training {
namespace {

constexpr std::size_t kMaxBytes = 6000;  // enough for any message here; bounds the cost of one row
// Words further apart than this seldom belong to one thought.
constexpr std::size_t kPairDistance = 10;

std::uint64_t hash(std::string_view text, std::uint64_t seed) {
  std::uint64_t h = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h ^ (h >> 29);
}

// What the same words mean depends on where they stand.
constexpr std::uint64_t kPrompt = 0;
constexpr std::uint64_t kAnswer = 1;
constexpr std::uint64_t kContext = 2;

bool is_word(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

// `last`: of the judged message, whose n-grams have an end.
void add_message(std::string_view text, std::uint64_t field, bool last,
                 std::vector<LinearClassifier::Feature>& out) {
  const auto add = [&](std::uint64_t hashed, std::size_t end) {
    out.push_back({hashed, last ? static_cast<std::uint32_t>(end) : 0});
  };
  std::vector<std::size_t> starts;  // of characters
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  for (std::size_t n = 2; n <= 5; ++n) {
    for (std::size_t i = 0; i + n < starts.size(); ++i) {
      add(hash(text.substr(starts[i], starts[i + n] - starts[i]), field * 16 + n), starts[i + n]);
    }
  }
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && is_word(static_cast<unsigned char>(text[end]))) ++end;
    if (end > i) words.push_back(text.substr(i, end - i));
    i = std::max(end, i + 1);
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto end = static_cast<std::size_t>(words[i].data() + words[i].size() - text.data());
    add(hash(words[i], field * 16), end);
    for (std::size_t d = 1; d <= std::min(i, kPairDistance); ++d) {
      const std::uint64_t kind = d == 1 ? 1 : 6;  // neighbours, or only near each other
      add(hash(words[i], hash(words[i - d], field * 16 + kind)), end);
    }
    if (i >= 2) {
      const std::uint64_t first = hash(words[i - 2], field * 16 + 7);
      add(hash(words[i], hash(words[i - 1], first)), end);
    }
  }
}

using Feature = LinearClassifier::Feature;
using Features = LinearClassifier::Features;

/// Sorted by counting: an end is at most kMaxBytes.
std::vector<Feature> by_end(const std::vector<Feature>& all) {
  std::vector<std::uint32_t> place(kMaxBytes + 2, 0);
  for (const auto& f : all) ++place[f.end + 1];
  std::partial_sum(place.begin(), place.end(), place.begin());
  std::vector<Feature> sorted(all.size());
  for (const auto& f : all) sorted[place[f.end]++] = f;
  return sorted;
}

/// Without later features of an equal hash. Sorting by hash would cost more than all else here.
std::vector<Feature> first_of_each(std::vector<Feature> all) {
  const std::size_t size = std::bit_ceil(all.size() * 2 + 1);
  std::vector<std::uint64_t> seen(size, 0);  // 0: free
  std::size_t kept = 0;
  for (const auto& f : all) {
    const std::uint64_t key = f.hash | 1;
    std::size_t at = (f.hash >> 8) & (size - 1);
    while (seen[at] != 0 && seen[at] != key) at = (at + 1) & (size - 1);
    if (seen[at] == key) continue;
    seen[at] = key;
    all[kept++] = f;
  }
  all.resize(kept);
  return all;
}

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

double scale_of(std::size_t features) {
  return 1.0 / std::sqrt(static_cast<double>(std::max<std::size_t>(1, features)));
}

}  // namespace

LinearClassifier::Features LinearClassifier::features(const Conversation& messages) {
  const Conversation low = lowered(messages);
  Features out;
  const bool response = low.back().role == Role::kAssistant;
  const auto head = [](const Message& m) {
    return std::string_view(m.content).substr(0, kMaxBytes);
  };
  add_message(head(low.back()), response ? kAnswer : kPrompt, true, out.judged);
  if (response && low.size() > 1) {
    const auto question = head(low[low.size() - 2]);
    add_message(question, kContext, false, out.judged);
    add_message(question, kPrompt, false, out.question);
  }
  return {first_of_each(by_end(out.judged)), first_of_each(std::move(out.question))};
}

template <typename Visit>
void LinearClassifier::for_each(std::span<const Feature> found, const Visit& visit) const {
  constexpr std::size_t kAhead = 24;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i + kAhead < found.size()) __builtin_prefetch(&buckets_[found[i + kAhead].hash & mask_], 1);
    visit(buckets_[found[i].hash & mask_]);
  }
}

LinearClassifier LinearClassifier::train(const std::vector<const Example*>& examples,
                                         const std::vector<double>& source_shares,
                                         const LinearOptions& options) {
  LinearClassifier model;
  model.question_weight_ = options.question_weight;
  const std::size_t size = std::size_t{1} << options.buckets_log2;
  model.mask_ = size - 1;
  const auto memory = base::allocate_zeroed(size * sizeof(Bucket));
  model.buckets_ = std::shared_ptr<Bucket[]>(memory, reinterpret_cast<Bucket*>(memory.get()));
  std::fill_n(model.buckets_.get(), size, Bucket{0.0f, 1e-6f});
  double bias_squares = 1e-6;

  std::map<std::uint32_t, std::size_t> rows;
  for (const auto* e : examples) ++rows[e->source];
  std::vector<std::size_t> order(examples.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(options.seed);
  for (std::size_t epoch = 0; epoch < options.epochs; ++epoch) {
    random.shuffle(order);
    for (const std::size_t i : order) {
      const Example& e = *examples[i];
      const bool positive = e.label != Risk::kSafe;
      const auto found = features(e.messages);
      const double scale = scale_of(found.judged.size());
      // The question's own n-grams learn from prompts alone: a refusal does not make it harmless.
      const double log_odds = model.log_odds(found.judged.size(), model.sum(found.judged),
                                             model.question_log_odds(found));
      const double share = source_shares[e.source] * static_cast<double>(examples.size()) /
                           static_cast<double>(rows[e.source]);
      const double weight = std::min(share, 20.0);
      const double gradient = weight * (logistic(log_odds) - (positive ? 1.0 : 0.0));
      model.for_each(found.judged, [&](Bucket& b) {
        const auto g =
            static_cast<float>(gradient * scale + options.l2 * static_cast<double>(b.weight));
        b.squares += g * g;
        b.weight -= static_cast<float>(options.learning_rate) * g / std::sqrt(b.squares);
      });
      bias_squares += gradient * gradient;
      model.bias_ -= static_cast<float>(options.learning_rate * gradient / std::sqrt(bias_squares));
    }
  }
  return model;
}

double LinearClassifier::sum(std::span<const Feature> found) const {
  double result = 0;
  for_each(found, [&](const Bucket& b) { result += static_cast<double>(b.weight); });
  return result;
}

double LinearClassifier::question_log_odds(const Features& found) const {
  if (found.question.empty()) return 0;
  return log_odds(found.question.size(), sum(found.question), 0);
}

double LinearClassifier::log_odds(std::size_t count, double sum, double question) const {
  return bias_ + sum * scale_of(count) + question_weight_ * question;
}

double LinearClassifier::not_safe(const Features& found) const {
  return logistic(log_odds(found.judged.size(), sum(found.judged), question_log_odds(found)));
}

std::vector<float> LinearClassifier::not_safe(const Features& found,
                                              std::span<const std::uint32_t> ends) const {
  std::vector<float> result;
  result.reserve(ends.size());
  const double question = question_log_odds(found);
  std::span<const Feature> left = found.judged;
  double sum_so_far = 0;
  for (const auto end : ends) {
    const auto next = std::ranges::upper_bound(left, end, {}, &Feature::end);
    const auto complete = left.first(static_cast<std::size_t>(next - left.begin()));
    sum_so_far += sum(complete);
    left = left.subspan(complete.size());
    const std::size_t count = found.judged.size() - left.size();
    result.push_back(static_cast<float>(logistic(log_odds(count, sum_so_far, question))));
  }
  return result;
}

Teacher teach(ExampleSet& examples, const std::vector<double>& source_shares,
              const LinearOptions& options) {
  constexpr std::uint64_t kHalves = 0x68616c76;  // apart from the hashes of features
  const auto half_of = [](std::string_view id) { return (hash(id, kHalves) >> 17) & 1; };
  const auto train_half = [&](std::uint64_t half) {
    std::vector<const Example*> rows;
    for (const auto& e : examples.train) {
      if (half_of(e.id) == half) rows.push_back(&e);
    }
    return LinearClassifier::train(rows, source_shares, options);
  };
  auto trained = std::make_shared<std::array<LinearClassifier, 2>>();
  {
    const std::jthread other([&] { (*trained)[1] = train_half(1); });
    (*trained)[0] = train_half(0);
  }
  const std::shared_ptr<const std::array<LinearClassifier, 2>> models = std::move(trained);
  for (auto& e : examples.train)
    e.teacher = static_cast<float>((*models)[1 - half_of(e.id)].not_safe(e.messages));
  for (auto& e : examples.unlabelled) {
    const auto found = LinearClassifier::features(e.messages);
    e.teacher =
        static_cast<float>(((*models)[0].not_safe(found) + (*models)[1].not_safe(found)) / 2);
  }
  return [models, half_of](const Conversation& messages, std::span<const std::uint32_t> ends,
                           std::optional<std::string_view> trained_id) {
    const auto found = LinearClassifier::features(messages);
    if (trained_id) return (*models)[1 - half_of(*trained_id)].not_safe(found, ends);
    auto mean = (*models)[0].not_safe(found, ends);
    const auto other = (*models)[1].not_safe(found, ends);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = (mean[i] + other[i]) / 2;
    return mean;
  };
}

}  // namespace qwen3guard::training
