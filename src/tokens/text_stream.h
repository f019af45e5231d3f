// Incremental text -> ids: text arrives in arbitrary pieces, ids that can no longer change come
// out.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::tokens {

/// Tokenises a text that continues a rendered prefix. Pieces may split characters anywhere. After
/// finish(), all stable ids together equal a one-shot Tokenizer::encode of prefix + text (+
/// suffix). Not thread-safe; keeps a bounded tail unless one pre-token is itself unbounded.
class TextStream {
 public:
  /// `prefix`: text before the stream with its control spans (its trailing ordinary text can merge
  /// with what follows, for example the "\n\n" after "</think>"). The prefix's own tokens are part
  /// of the output: the first stable() begins with them.
  static Result<TextStream> open(std::shared_ptr<const Tokenizer> tokenizer, RenderedText prefix);

  TextStream(TextStream&&) noexcept;
  TextStream& operator=(TextStream&&) noexcept;
  ~TextStream();

  /// Feeds the next bytes and returns the ids (with offsets, counted from the start of the prefix)
  /// that became stable: no later text can change them. Errors: kInvalidUtf8, kInvalidState after
  /// finish().
  Result<Encoding> append(std::string_view bytes);
  /// The ids that the unstable tail would have if the text ended here. Never decide on them.
  Result<Encoding> provisional() const;
  /// Ends the text with a suffix that the template writes (for example "<|im_end|>\n") and returns
  /// the remaining ids. Errors: kInvalidUtf8 if the text ends inside a character.
  Result<Encoding> finish(const RenderedText& suffix);

  /// Bytes of text (prefix included) covered by stable ids so far.
  std::size_t stable_bytes() const;

 private:
  struct State;
  explicit TextStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace qwen3guard::tokens
