// How a model's weights are held while it runs.
#pragma once

namespace qwen3guard {

enum class WeightFormat {
  kStored,  // as the checkpoint has them, read from the page cache; fp32 arithmetic and KV cache
  kQ8,      // projections quantized on load: 8-bit integers, a scale for every 32 weights of a row;
            // integer products with 8-bit activations, half-float KV cache
  kQ4,      // the same with 4-bit integers
};

}  // namespace qwen3guard
