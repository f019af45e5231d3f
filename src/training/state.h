// Everything a run needs to go on after a kill as if nothing had happened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qwen3guard/result.h"
#include "training/batches.h"
#include "training/optimizer.h"

namespace qwen3guard::training {

struct LossPoint {
  std::size_t step;
  double loss;
};
struct ValidationPoint {
  std::size_t step;
  double auroc_prompt, auroc_response;  // means over the sets that have both classes
  double f1_strict;                     // mean over the same sets
};

struct RunState {
  /// SHA-256 of recipe, tokenizer, seed and data: a state only continues the run that wrote it.
  std::string fingerprint;
  std::size_t step = 0;
  std::uint64_t trained_tokens = 0;
  double seconds = 0;
  double smoothed_loss = 0;
  double best = -1;
  std::size_t best_step = 0;
  BatchStream::Position position;
  std::vector<LossPoint> losses;
  std::vector<ValidationPoint> validations;
  std::vector<float> weights;
  OptimizerState optimizer;
};

/// One safetensors file (F32), written atomically.
Status save_state(const RunState& state, const std::filesystem::path& path);
/// Errors: kCorruptFile, and kInvalidArgument when the fingerprint is another one.
Result<RunState> load_state(const std::filesystem::path& path, const std::string& fingerprint);

}  // namespace qwen3guard::training
