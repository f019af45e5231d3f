// The figure to beat: logistic regression on hashed word and character n-grams, from the same rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
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
  /// Of the question's log-odds as a prompt, in the log-odds of its answer. Not learned: the rows
  /// that share a question among answers of both kinds would teach that it says nothing.
  double question_weight = 0.8;
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
  /// A distinct n-gram of a conversation, and after how many bytes of the last message it is first
  /// complete (0: before it).
  struct Feature {
    std::uint64_t hash;
    std::uint32_t end;
  };
  /// The same for every classifier.
  struct Features {
    std::vector<Feature> judged;    // by `end`
    std::vector<Feature> question;  // of the prompt before a response, as a prompt's
  };
  static Features features(const Conversation& messages);

  /// In [0, 1].
  double not_safe(const Features& found) const;
  double not_safe(const Conversation& messages) const { return not_safe(features(messages)); }
  /// The same had the last message ended after each of `ends` bytes, ascending.
  std::vector<float> not_safe(const Features& found, std::span<const std::uint32_t> ends) const;

 private:
  /// A weight beside its sum of squared gradients: one cache line serves both.
  struct Bucket {
    float weight;
    float squares;
  };
  /// Calls `visit(bucket)` for each feature; what is read next is already on its way from memory.
  template <typename Visit>
  void for_each(std::span<const Feature> found, const Visit& visit) const;

  double sum(std::span<const Feature> found) const;
  double log_odds(std::size_t count, double sum, double question) const;
  /// 0 where nothing was asked.
  double question_log_odds(const Features& found) const;

  std::size_t mask_ = 0;
  std::shared_ptr<Bucket[]>
      buckets_;  // in huge pages: random reads would else wait for page tables
  float bias_ = 0;
  double question_weight_ = 0;
};

/// Gives every row of `examples.train` and `examples.unlabelled` the opinion of a classifier that
/// was not trained on it: two are trained, each on one half of the rows (by a hash of the id), and
/// judge the other half; unlabelled rows get the mean of both. The teacher that is returned may be
/// asked from several threads.
Teacher teach(ExampleSet& examples, const std::vector<double>& source_shares,
              const LinearOptions& options);

}  // namespace qwen3guard::training
