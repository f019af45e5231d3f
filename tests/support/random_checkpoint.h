// Checkpoints with random weights in the official format, written to a temporary directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace qwen3guard::test {

struct RandomCheckpoint {
  bool guard = true;  // Qwen3ForGuardModel, else Qwen3ForCausalLM
  std::size_t hidden = 32, layers = 2, heads = 4, kv_heads = 2, head_dim = 16, intermediate = 48;
  std::size_t inner = 24, vocabulary = 8192, max_positions = 2048;
  unsigned seed = 1;
  /// Factor on the heads' weights: larger makes verdicts vary from token to token.
  float head_scale = 8.0f;
  /// A guard's: where not empty, it looks at nothing but the token itself; these are Unsafe, all
  /// others Safe.
  std::vector<std::int32_t> unsafe{};
  /// Overwrites the final norm with NaN.
  bool broken = false;
};

/// Writes config.json, model.safetensors (BF16) and a copy of `tokenizer_json` under a new
/// directory and returns it. Aborts the test program on failure.
std::filesystem::path write_random_checkpoint(const RandomCheckpoint& shape,
                                              const std::filesystem::path& tokenizer_json);

}  // namespace qwen3guard::test
