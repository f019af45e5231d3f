// The guard's losses (Qwen3Guard technical report, section 4.2): cross-entropy on the risk of every
// judged place, and on the category only where the true risk is not Safe.
#pragma once

#include "training/batches.h"
#include "training/network.h"
#include "training/recipe.h"
#include "training/torch_api.h"

namespace qwen3guard::training {

/// Mean over the rows of the batch of L_q (prompts) and L_r (responses), with what `options` adds.
/// `hidden` is Network::hidden of the batch. Language-model loss is added where
/// options.language_model > 0. `start` is the network of LossOptions::keep.
/// REQUIRES: `start` where options.keep > 0.
Tensor batch_loss(const Network& network, const Tensor& hidden, const Batch& batch,
                  const LossOptions& options, const DropoutRates& rates, std::uint32_t seed,
                  const Network* start = nullptr);

/// Ids of the batch as a tensor that shares its memory.
Tensor batch_ids(const Batch& batch);

}  // namespace qwen3guard::training
