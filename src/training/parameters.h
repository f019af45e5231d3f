// All weights of a network in one flat array, with the named pieces of it. The optimizer, clipping,
// the moving average and the training state work on the array; the network on the pieces; import
// and export on the official tensor names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "qwen3guard/result.h"
#include "training/recipe.h"

namespace qwen3guard::training {

/// A piece of the flat array. `parts` are the official tensors stacked in it, by rows: the query,
/// key and value projections are one matrix here, so that they are one multiplication.
struct Piece {
  struct Part {
    std::string official_name;
    std::size_t rows;
  };
  std::string name;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;
  std::vector<Part> parts;
  bool decay = false;
  /// Standard deviation at the start; 0 fills with ones (norms).
  double initial = 0;

  std::size_t size() const {
    std::size_t n = 1;
    for (const auto extent : shape) n *= static_cast<std::size_t>(extent);
    return n;
  }
};

struct Layout {
  ModelShape shape;
  std::size_t vocabulary = 0;
  std::vector<Piece> pieces;
  std::size_t total = 0;

  const Piece& find(const std::string& name) const;
};

/// The network of `shape` over `vocabulary` tokens: Qwen3 trunk with tied embeddings, four Stream
/// heads.
Layout make_layout(const ModelShape& shape, std::size_t vocabulary);

/// Fresh weights, from the seed alone.
std::vector<float> initial_weights(const Layout& layout, std::uint64_t seed);

/// Writes config.json and model.safetensors (BF16) into `directory`, in the official
/// Qwen3ForGuardModel format. The caller adds tokenizer.json. `token_ids` gives eos and pad.
Status export_checkpoint(const Layout& layout, const std::vector<float>& weights, std::int64_t eos,
                         std::int64_t pad, const std::filesystem::path& directory);

/// What a checkpoint's config.json states.
struct CheckpointShape {
  ModelShape shape;
  /// Rows of the embedding; may exceed the tokenizer's size (official checkpoints round up).
  std::size_t vocabulary = 0;
};

/// Reads config.json (Qwen3ForGuardModel, or Qwen3ForCausalLM, whose heads are then fresh;
/// `guard_inner_size` is taken from `fallback` then).
Result<CheckpointShape> read_checkpoint_shape(const std::filesystem::path& directory,
                                              const ModelShape& fallback);

/// Overwrites `weights` with the checkpoint's tensors (BF16, F16 or F32). Every trunk tensor must
/// be there with its exact shape; heads may be missing all together. Returns how many tensors were
/// read.
Result<std::size_t> import_checkpoint(const Layout& layout, const std::filesystem::path& directory,
                                      std::vector<float>& weights);

}  // namespace qwen3guard::training
