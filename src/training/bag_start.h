// A start for the embedding: a bag-of-tokens classifier, trained in about a minute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "qwen3guard/result.h"
#include "training/batches.h"
#include "training/parameters.h"

namespace qwen3guard::training {

/// Called with the rows seen so far, their number in all, and the smoothed loss.
using BagProgress = std::function<void(std::size_t row, std::size_t rows, double loss)>;

/// Trains risk classifiers (one for queries, one for responses) on the mean of a row's token
/// embeddings over `rows` rows of `stream`, as in fastText (arXiv 1607.01759), and leaves the
/// embedding in `weights`, rescaled to the layout's own standard deviation. A trunk that starts
/// from it begins where a linear classifier ends, instead of spending most of its steps on finding
/// word meanings. One pass over memory per token, no libtorch; AdaGrad, learning rate linear to
/// zero.
Status bag_start(const Layout& layout, BatchStream& stream, std::size_t rows,
                 const std::vector<double>& class_weights, std::vector<float>& weights,
                 const BagProgress& progress);

}  // namespace qwen3guard::training
