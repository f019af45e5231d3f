// What the numbers of a tensor look like, for people who inspect a checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bytes/safetensors.h"

namespace qwen3guard::bytes {

/// `minimum`, `maximum` and `mean` are over the finite values only, and 0 when there are none.
/// 64-bit integers are rounded to double.
struct TensorSummary {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape{};
  double minimum = 0;
  double maximum = 0;
  double mean = 0;
  std::uint64_t nan_count = 0;
  std::uint64_t infinite_count = 0;
  std::uint64_t zero_count = 0;
};

/// Reads every value of the tensor once.
TensorSummary summarize(const TensorView& tensor);

}  // namespace qwen3guard::bytes
