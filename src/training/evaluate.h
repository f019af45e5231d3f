// Scores labelled conversations with a network, the way the guard decides. Needs no libtorch to
// include.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <vector>

#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"
#include "training/examples.h"
#include "training/figures.h"
#include "training/recipe.h"

namespace qwen3guard::training {

class Network;

/// In the order of `examples`. Whole conversations: nothing is cut, except where one exceeds
/// max_position_embeddings (then its end is judged no further).
std::vector<Score> score_examples(const Network& network, const std::vector<Example>& examples);

/// A checkpoint on disk, ready to score.
class Scorer {
 public:
  /// Errors: those of reading the checkpoint.
  static Result<Scorer> open(const std::filesystem::path& directory, std::size_t vocabulary,
                             Precision precision);
  Scorer(Scorer&&) noexcept;
  Scorer& operator=(Scorer&&) noexcept;
  ~Scorer();

  std::vector<Score> score(const std::vector<Example>& examples) const;
  std::size_t parameters() const;

 private:
  explicit Scorer(std::unique_ptr<Network> network);
  std::unique_ptr<Network> network_;
};

/// Threads that libtorch may use, for the whole process.
void set_threads(int threads);

}  // namespace qwen3guard::training
