// Checkpoints of one shape, averaged weight by weight: between a network and what it was trained on
// to lie networks that keep some of both (WiSE-FT, arXiv 2109.01903).
#pragma once

#include <filesystem>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::training {

struct WeighedCheckpoint {
  std::filesystem::path directory;
  double weight = 0;
};

/// Writes the average, by weights that need not sum to 1, with the first one's tokenizer.json, into
/// `out`. Errors: kInvalidArgument (none, a weight that is not positive, another shape or
/// tokenizer), and those of reading and writing.
Status average_checkpoints(const std::vector<WeighedCheckpoint>& checkpoints,
                           const std::filesystem::path& out);

}  // namespace qwen3guard::training
