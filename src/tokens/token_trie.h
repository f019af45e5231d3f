// The prefixes of all tokens, to find the tokens with which a text begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokens/tokenizer.h"

namespace qwen3guard::tokens {

/// Nodes are prefixes. The node of a token has the token's id; other prefixes come after all ids.
/// Immutable after build().
class TokenTrie {
 public:
  using Node = std::uint32_t;
  static constexpr Node kNone = 0xFFFFFFFFu;

  struct Entry {
    TokenId id;
    std::string_view bytes;
  };
  /// REQUIRES: ids below `id_limit`; distinct strings; all 256 single bytes among them.
  /// False if there are too many prefixes (the trie then is unusable).
  bool build(std::vector<Entry> entries, std::size_t id_limit);

  Node first(unsigned char byte) const { return first_[byte]; }
  Node child(Node node, unsigned char byte) const {
    const std::uint32_t key = node << 8 | byte;
    for (std::size_t i = slot(key);; i = (i + 1) & mask_) {
      const std::uint64_t cell = slots_[i];
      if (cell >> 32 == key) return static_cast<Node>(cell);
      if (cell == kFree) return kNone;
    }
  }
  bool is_token(Node node) const { return node < id_limit_; }

  /// The longest token with which `text` begins. REQUIRES: not empty.
  TokenId longest(std::string_view text) const {
    Node node = first(static_cast<unsigned char>(text[0]));
    Node best = node;
    for (std::size_t i = 1; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == kNone) break;
      if (is_token(node)) best = node;
    }
    return static_cast<TokenId>(best);
  }
  /// The next shorter token with which `id` begins, or -1.
  TokenId shorter(TokenId id) const { return shorter_[static_cast<std::size_t>(id)]; }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  std::size_t slot(std::uint32_t key) const {
    return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> shift_);
  }

  std::vector<std::uint64_t> slots_;  // (parent << 8 | byte) << 32 | child
  std::size_t mask_ = 0;
  int shift_ = 0;
  std::size_t id_limit_ = 0;
  std::vector<Node> first_;       // by byte
  std::vector<TokenId> shorter_;  // by id
};

}  // namespace qwen3guard::tokens
