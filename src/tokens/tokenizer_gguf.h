// The tokenizer inside a GGUF file, under the keys that llama.cpp and its converters use.
// docs/formats/gguf.md lists them.
#pragma once

#include <cstddef>
#include <string_view>

#include "bytes/gguf.h"
#include "qwen3guard/result.h"
#include "tokens/tokenizer_file.h"

namespace qwen3guard::tokens {

/// Reads the keys tokenizer.ggml.*; what it returns is independent of `file`. As with
/// parse_tokenizer_json, contradictions between tokens and merges are for BpeTokenizer::create to
/// find. Errors, naming the key and the element: kNotFound (no tokens, types or merges),
/// kUnsupported (another tokenizer than Qwen's, a key of another type, a type of token that
/// byte-level vocabularies do not have, over a limit), kCorruptFile, kTooLong (a list of more than
/// kMaxTokenizerFileBytes).
Result<TokenizerSpec> parse_gguf_tokenizer(const bytes::GgufFile& file);

/// The inverse: the metadata to write for the bytes of a tokenizer.json. Ids below
/// `vocabulary_size` (the rows of the embedding) that no token has become padding, "[PADn]".
/// Errors: those of parse_tokenizer_json and Tokenizer::parse, kInvalidArgument (a vocabulary size
/// that is too small or above kMaxTokenId + 1), kUnsupported (no <|im_end|> or <|endoftext|>; an
/// added token that is also in the vocabulary).
Result<bytes::GgufMetadata> gguf_tokenizer_metadata(std::string_view tokenizer_json,
                                                    std::size_t vocabulary_size);

}  // namespace qwen3guard::tokens
