// The training loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"
#include "training/batches.h"
#include "training/examples.h"
#include "training/recipe.h"

namespace qwen3guard::training {

struct TrainOptions {
  /// Receives state.safetensors, curves.svg, and the checkpoints best/ and final/.
  std::filesystem::path out;
  /// tokenizer.json, copied into each checkpoint; empty: none.
  std::filesystem::path tokenizer;
  std::uint64_t seed = 1;
  Precision precision = Precision::kFloat32;
  /// A Hugging Face checkpoint to start from; empty: random weights.
  std::filesystem::path init;
  /// The recipe's model, which may be larger than `init`'s (grow.h); else `init`'s own shape.
  bool grow = false;
  /// For the batches of a step (OptimizerOptions::batches_per_step); the result does not depend on
  /// it.
  int threads = 1;
  Teacher teacher;
  std::size_t save_every = 250;
  /// Stops after this many steps of this call, leaving a state to resume from (0: no stop).
  std::size_t stop_after = 0;
  /// Polled every step; true saves and stops.
  std::function<bool()> interrupted;
};

struct TrainProgress {
  std::size_t step, steps;
  double loss, rate, tokens_per_second;
};

struct TrainReport {
  bool finished = false;
  std::size_t steps = 0;
  std::uint64_t tokens = 0;
  double seconds = 0;
  double best = 0;
  std::size_t best_step = 0;
};

/// Called after every step, and with a line of text for what else is worth saying.
struct TrainObserver {
  std::function<void(const TrainProgress&)> progress;
  std::function<void(const std::string&)> say;
};

/// Trains, or goes on from `out`/state.safetensors if that belongs to the same run. With one thread
/// an interrupted and resumed run ends with the same bits as one that was not interrupted.
Result<TrainReport> train_guard(const Recipe& recipe, const std::string& fingerprint,
                                const ExampleSet& examples, const tokens::Tokenizer& tokenizer,
                                const TrainOptions& options, const TrainObserver& observer);

}  // namespace qwen3guard::training
