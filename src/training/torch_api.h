// The only door to libtorch: the narrow headers, and one place for what differs between its
// versions (Debian's 1.13 and current ones). torch/torch.h would cost half a minute in every file.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

namespace qwen3guard::training {

using at::Tensor;

}  // namespace qwen3guard::training
