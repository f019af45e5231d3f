// Cuts a byte-level BPE tokenizer down to a small vocabulary that still splits text as the big one
// does.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::dataset {

struct TrimOptions {
  /// Size of the result, added tokens included.
  std::size_t vocabulary_size = 16384;
  /// Added tokens to keep: those that the templates write.
  std::vector<std::string> added_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>",
                                           "</think>"};
  /// Ordinary text that the templates write: its tokens are always kept.
  std::vector<std::string> always_keep = {"user", "assistant", "system", "\n", "\n\n"};
};

/// A merge-closed subset of the vocabulary of `tokenizer` (a parsed tokenizer.json of type BPE):
/// all 256 byte tokens, then the most frequent tokens by `frequency` (id -> weight, ties by id)
/// together with everything they are merged from; a merge stays exactly when its two parts and its
/// result stay. Ids are renumbered densely in their old order, normalizer, pre-tokenizer and
/// decoder are unchanged, so the result is a standard tokenizer.json. Text whose tokens are all
/// kept gets the same tokens. Errors: kUnsupported (not such a tokenizer), kInvalidArgument (size
/// below the minimum).
Result<nlohmann::json> trim_tokenizer(const nlohmann::json& tokenizer,
                                      const std::map<int, double>& frequency,
                                      const TrimOptions& options);

}  // namespace qwen3guard::dataset
