// The figure to beat: logistic regression on hashed word and character n-grams, from the same rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "training/batches.h"
#include "training/examples.h"

namespace qwen3guard::training {

struct LinearOptions {
  std::size_t buckets_log2 = 26;
  std::size_t epochs = 5;
  double learning_rate = 0.15;
  double l2 = 1e-7;
  std::uint64_t seed = 1;
};

/// P(not Safe) from one weight a hashed n-gram: words, pairs of words at most ten apart, triples,
/// and two to five characters, of the judged message, and apart from them of the prompt before a
/// response.
class LinearClassifier {
 public:
  /// AdaGrad on the logistic loss, each row weighed so that its set has the share that the recipe
  /// gives it.
  static LinearClassifier train(const std::vector<const Example*>& examples,
                                const std::vector<double>& source_shares,
                                const LinearOptions& options);
  /// Hashes of the distinct n-grams of a conversation; the same for every classifier.
  using Features = std::vector<std::uint64_t>;
  static Features features(const Conversation& messages);

  /// In [0, 1].
  double not_safe(const Features& found) const;
  double not_safe(const Conversation& messages) const { return not_safe(features(messages)); }

 private:
  std::size_t mask_ = 0;
  std::vector<float> weights_;
  float bias_ = 0;
};

/// Gives every row of `examples.train` and `examples.unlabelled` the opinion of a classifier that
/// was not trained on it: two are trained, each on one half of the rows (by a hash of the id), and
/// judge the other half; unlabelled rows get the mean of both, as do the conversations of the
/// teacher that is returned. It may be asked from several threads.
Teacher teach(ExampleSet& examples, const std::vector<double>& source_shares,
              const LinearOptions& options);

}  // namespace qwen3guard::training
