// A larger network that starts where a smaller one ended.
#pragma once

#include <vector>

#include "qwen3guard/result.h"
#include "training/parameters.h"

namespace qwen3guard::training {

/// Puts the weights `small` of layout `from` into `large`, fresh weights of layout `to`, which may
/// have more layers and wider MLPs: what is new adds nothing to the residual stream (its output
/// projections are zero), so that both networks compute the same until the first step. Errors:
/// kInvalidArgument where `to` differs in anything else, or is the smaller one.
Status grow(const Layout& from, const std::vector<float>& small, const Layout& to,
            std::vector<float>& large);

}  // namespace qwen3guard::training
