// Text <-> token ids, as the Qwen tokenizer does it: NFC, pre-tokenizer, byte-level BPE, added
// tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::bytes {
class GgufFile;
}

namespace qwen3guard::tokens {

using TokenId = std::int32_t;

/// Half-open range of bytes.
struct ByteSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const ByteSpan&) const = default;
};

/// Text of which only some spans are control tokens. A template writes it: `control` lists, in
/// order and without overlap, the tokens that the template itself wrote, one a span. Everything
/// else is untrusted: added-token strings in it stay ordinary text.
struct RenderedText {
  std::string text;
  std::vector<ByteSpan> control;
};

struct Encoding {
  std::vector<TokenId> ids;
  /// Bytes of the text as given (before NFC) that each token stands for, same length as `ids`. A
  /// token that holds part of a character, or of a sequence that NFC rewrote, spans that whole
  /// character or sequence.
  std::vector<ByteSpan> offsets;
};

/// Immutable after load and shared between threads.
class Tokenizer {
 public:
  /// Reads tokenizer.json from a checkpoint's directory, or vocab.json + merges.txt
  /// (+ tokenizer_config.json for the added tokens). Errors: kNotFound, kIo, kCorruptFile,
  /// kUnsupported (another kind of tokenizer).
  static Result<std::shared_ptr<const Tokenizer>> load(const std::filesystem::path& directory);
  /// From the bytes of a tokenizer.json.
  static Result<std::shared_ptr<const Tokenizer>> parse(std::string_view tokenizer_json);
  /// From a GGUF file's metadata; `file` need not outlive it. Errors: kNotFound (a key),
  /// kCorruptFile, kUnsupported (another kind of tokenizer), kTooLong.
  static Result<std::shared_ptr<const Tokenizer>> from_gguf(const bytes::GgufFile& file);

  virtual ~Tokenizer() = default;

  /// The safe way: the spans of `rendered.control` are added tokens, nothing else is. The whole
  /// text is normalised, split and merged at once, so content without added-token strings gets
  /// exactly the reference's ids. Errors: kInvalidUtf8 (says at which byte), kUnsupported (a
  /// control token that this tokenizer does not have: it never becomes ordinary text),
  /// kInvalidArgument (spans out of order or outside the text).
  virtual Result<Encoding> encode(const RenderedText& rendered) const = 0;
  /// Plain text; with `parse_added_tokens`, as the reference does, added-token strings anywhere
  /// become control ids (for trusted text and golden tests only).
  virtual Result<Encoding> encode(std::string_view text, bool parse_added_tokens) const = 0;

  /// The bytes of the tokens; may end inside a character. Unknown ids give an error.
  virtual Result<std::string> decode(std::span<const TokenId> ids) const = 0;

  /// The id of an added token such as "<|im_end|>", if the tokenizer has it.
  virtual std::optional<TokenId> added_token(std::string_view content) const = 0;
  /// One more than the largest id.
  virtual std::size_t vocabulary_size() const = 0;
};

}  // namespace qwen3guard::tokens
