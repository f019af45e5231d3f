#include "training/linear_baseline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <string_view>
#include <thread>

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

bool is_word(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

void add_message(std::string_view text, std::uint64_t field, std::vector<std::uint64_t>& out) {
  std::vector<std::size_t> starts;  // of characters
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  for (std::size_t n = 2; n <= 5; ++n) {
    for (std::size_t i = 0; i + n < starts.size(); ++i) {
      out.push_back(hash(text.substr(starts[i], starts[i + n] - starts[i]), field * 16 + n));
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
    out.push_back(hash(words[i], field * 16));
    for (std::size_t d = 1; d <= std::min(i, kPairDistance); ++d) {
      const std::uint64_t kind = d == 1 ? 1 : 6;  // neighbours, or only near each other
      out.push_back(hash(words[i], hash(words[i - d], field * 16 + kind)));
    }
    if (i >= 2) {
      const std::uint64_t first = hash(words[i - 2], field * 16 + 7);
      out.push_back(hash(words[i], hash(words[i - 1], first)));
    }
  }
}

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

LinearClassifier::Features LinearClassifier::features(const Conversation& messages) {
  const Conversation low = lowered(messages);
  Features out;
  const bool response = low.back().role == Role::kAssistant;
  add_message(std::string_view(low.back().content).substr(0, kMaxBytes), response ? 1 : 0, out);
  if (response && low.size() > 1)
    add_message(std::string_view(low[low.size() - 2].content).substr(0, kMaxBytes), 2, out);
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

LinearClassifier LinearClassifier::train(const std::vector<const Example*>& examples,
                                         const std::vector<double>& source_shares,
                                         const LinearOptions& options) {
  LinearClassifier model;
  const std::size_t size = std::size_t{1} << options.buckets_log2;
  model.mask_ = size - 1;
  model.weights_.assign(size, 0.0f);
  std::vector<float> squares(size, 1e-6f);
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
      const double scale =
          1.0 / std::sqrt(static_cast<double>(std::max<std::size_t>(1, found.size())));
      double sum = model.bias_;
      for (const auto h : found)
        sum += static_cast<double>(model.weights_[h & model.mask_]) * scale;
      const double share = source_shares[e.source] * static_cast<double>(examples.size()) /
                           static_cast<double>(rows[e.source]);
      const double weight = std::min(share, 20.0);
      const double gradient = weight * (logistic(sum) - (positive ? 1.0 : 0.0));
      for (const auto h : found) {
        float& w = model.weights_[h & model.mask_];
        float& s = squares[h & model.mask_];
        const double g = gradient * scale + options.l2 * static_cast<double>(w);
        s += static_cast<float>(g * g);
        w -= static_cast<float>(options.learning_rate * g / std::sqrt(static_cast<double>(s)));
      }
      bias_squares += gradient * gradient;
      model.bias_ -= static_cast<float>(options.learning_rate * gradient / std::sqrt(bias_squares));
    }
  }
  return model;
}

double LinearClassifier::not_safe(const Features& found) const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(std::max<std::size_t>(1, found.size())));
  double sum = bias_;
  for (const auto h : found) sum += static_cast<double>(weights_[h & mask_]) * scale;
  return logistic(sum);
}

Teacher teach(ExampleSet& examples, const std::vector<double>& source_shares,
              const LinearOptions& options) {
  constexpr std::uint64_t kHalves = 0x68616c76;  // apart from the hashes of features
  const auto half_of = [](const Example& e) { return (hash(e.id, kHalves) >> 17) & 1; };
  const auto train_half = [&](std::uint64_t half) {
    std::vector<const Example*> rows;
    for (const auto& e : examples.train) {
      if (half_of(e) == half) rows.push_back(&e);
    }
    return LinearClassifier::train(rows, source_shares, options);
  };
  auto trained = std::make_shared<std::array<LinearClassifier, 2>>();
  {
    const std::jthread other([&] { (*trained)[1] = train_half(1); });
    (*trained)[0] = train_half(0);
  }
  const std::shared_ptr<const std::array<LinearClassifier, 2>> models = std::move(trained);
  const Teacher mean = [models](const Conversation& messages) {
    const auto found = LinearClassifier::features(messages);
    return ((*models)[0].not_safe(found) + (*models)[1].not_safe(found)) / 2;
  };
  for (auto& e : examples.train)
    e.teacher = static_cast<float>((*models)[1 - half_of(e)].not_safe(e.messages));
  for (auto& e : examples.unlabelled) e.teacher = static_cast<float>(mean(e.messages));
  return mean;
}

}  // namespace qwen3guard::training
