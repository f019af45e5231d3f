// Reading tokenizer files: checks that they describe the tokenizer we implement and undoes their
// spelling.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"
#include "tokens/bpe.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::tokens {

struct AddedToken {
  TokenId id;
  std::string content;
  /// Structure that a reader of the text does not see (<|im_end|>), as opposed to <think>.
  bool special = true;
};

struct TokenizerSpec {
  BpeSpec bpe;
  std::vector<AddedToken> added;
};

inline constexpr std::size_t kMaxTokenizerFileBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxAddedTokens = 4096;

/// From the bytes of a tokenizer.json. Errors: kInvalidJson, kCorruptFile, kUnsupported, kTooLong.
Result<TokenizerSpec> parse_tokenizer_json(std::string_view json);

/// From vocab.json, merges.txt and tokenizer_config.json (whose "added_tokens_decoder" names the
/// added tokens). These files do not describe the normalizer and the pre-tokenizer:
/// "tokenizer_class" must be one of Qwen's. Errors: as above.
Result<TokenizerSpec> parse_vocabulary_files(std::string_view vocab_json,
                                             std::string_view merges_txt,
                                             std::string_view tokenizer_config_json);

/// Whole file, at most kMaxTokenizerFileBytes. Errors (naming the file): kNotFound, kIo, kTooLong.
Result<std::string> read_tokenizer_file(const std::filesystem::path& path);

}  // namespace qwen3guard::tokens
