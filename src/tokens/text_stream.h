// Incremental text -> ids: text arrives in arbitrary pieces, ids that can no longer change come
// out.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::tokens {

/// Tokenises a text that continues a rendered prefix. Pieces may split characters anywhere. After
/// finish(), all stable ids together equal a one-shot Tokenizer::encode of prefix + text + suffix.
///
/// Time is linear in the text, however it is cut. Memory is the unstable tail: a word, or less of a
/// long one; only what truly stays undecided is held (newlines followed by nothing but white space,
/// or a run of combining marks). docs/tokenizer.md says how long the tail gets. An irregular
/// vocabulary (no published one) makes the tail the whole current pre-token.
///
/// After an error every further call returns kInvalidState. Not thread-safe.
class TextStream {
 public:
  /// `prefix`: text before the stream with its control spans (its trailing ordinary text can merge
  /// with what follows, for example the "\n\n" after "</think>"). The prefix's own tokens are part
  /// of the output: the first ids returned begin with them. Errors: those of
  /// Tokenizer::encode(prefix).
  static Result<TextStream> open(std::shared_ptr<const Tokenizer> tokenizer,
                                 const RenderedText& prefix);

  TextStream(TextStream&&) noexcept;
  TextStream& operator=(TextStream&&) noexcept;
  ~TextStream();

  /// Feeds the next bytes of untrusted text and returns the ids (with offsets, counted from the
  /// start of the prefix) that became stable: no later text can change them. Errors: kInvalidUtf8,
  /// kInvalidState after finish().
  Result<Encoding> append(std::string_view bytes);
  /// Feeds text that the template writes in the middle, such as the end of the thinking; its
  /// control spans are added tokens. Errors: as append(), those of Tokenizer::encode(rendered);
  /// kInvalidUtf8 if the text so far ends inside a character.
  Result<Encoding> append_template(const RenderedText& rendered);
  /// The ids that the unstable tail would have if the text ended here (without the bytes of a
  /// character that is not complete). Never decide on them. Costs time in proportion to the
  /// unstable tail.
  Result<Encoding> provisional() const;
  /// Ends the text with a suffix that the template writes (for example "<|im_end|>\n") and returns
  /// the remaining ids. Errors: as append_template().
  Result<Encoding> finish(const RenderedText& suffix);

  /// Bytes of text (prefix included) covered by stable ids so far, down to a whole character.
  std::size_t stable_bytes() const;

 private:
  struct State;
  explicit TextStream(std::unique_ptr<State> state);
  template <typename Step>
  Result<Encoding> run(Step step);
  std::unique_ptr<State> state_;
};

}  // namespace qwen3guard::tokens
