// What a checkpoint with this configuration must hold, as a list to compare with what it does hold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace qwen3guard::apps {

struct ExpectedTensor {
  std::string name;
  std::vector<std::int64_t> shape;  // 0: any size
};

/// Body, heads or LM head. model/weights.cpp and heads/stream_heads.cpp, which load them, stop at
/// the first that is wrong; inspect names all. A test compares the two on the golden checkpoints.
std::vector<ExpectedTensor> expected_tensors(const model::ModelConfig& config);

}  // namespace qwen3guard::apps
