// Encodes one piece while it grows, and tells which tokens its continuation can no longer change.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "tokens/bpe.h"

namespace qwen3guard::tokens {

/// Every prefix of a piece has one encoding, and the encodings form a tree: that of a prefix is
/// that of a shorter prefix (its parent) and one token more. So per byte only the last token is
/// kept. Whatever follows, the final encoding passes through the end of the text seen so far, or
/// through the start of a token that reaches beyond it; the tokens before all of those places are
/// settled. Copyable. Time per byte: as many steps as tokens can be under way, whatever came
/// before.
class PrefixEncoder {
 public:
  /// REQUIRES: bpe.regular(); bpe outlives the encoder.
  explicit PrefixEncoder(const Bpe& bpe) : bpe_(&bpe) {}

  void append(std::string_view bytes);
  /// Bytes of the piece so far.
  std::size_t size() const { return settled_ + last_token_.size(); }
  /// Appends to `ids` the tokens that have become settled if the piece ends at `possible_end` or
  /// goes on beyond size(). REQUIRES: settled <= possible_end <= size().
  void settle(std::size_t possible_end, std::vector<TokenId>& ids);
  /// Appends the tokens after the settled ones if the piece is its first `end` bytes.
  /// REQUIRES: `end` is one of the ends that settle() was told about, or at least its size() then.
  void encoding(std::size_t end, std::vector<TokenId>& ids) const;
  void reset();

 private:
  TokenId last_token(std::size_t end) const {
    return end == settled_ ? settled_token_ : last_token_[end - settled_ - 1];
  }
  std::size_t parent(std::size_t end) const { return end - bpe_->length(last_token(end)); }

  /// A token under way: the text from `start` on is a prefix of some token.
  struct Open {
    std::size_t start;
    TokenTrie::Node node;
  };

  const Bpe* bpe_;
  std::size_t settled_ = 0;          // bytes covered by settled tokens
  TokenId settled_token_ = -1;       // the last of them
  std::vector<TokenId> last_token_;  // of the encoding of the first settled_ + i + 1 bytes
  std::vector<Open> open_;           // ascending starts
  std::size_t next_attempt_ = 0;     // size() before which settling is not tried again
};

}  // namespace qwen3guard::tokens
