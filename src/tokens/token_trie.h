// The prefixes of all tokens, to find the tokens with which a text begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokens/line_table.h"
#include "tokens/tokenizer.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {

/// Nodes are prefixes. A node is a number of 24 bits (of a token: its id; other prefixes come after
/// all ids) and 8 bits that filter the bytes that can follow. Immutable after build().
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
    if ((node & filter(byte)) == 0) return kNone;
    const std::uint64_t cell = edges_.find(key(node, byte));
    return cell == Edges::kFree ? kNone : static_cast<Node>(cell);
  }
  bool is_token(Node node) const { return number(node) < id_limit_; }
  TokenId token(Node node) const { return static_cast<TokenId>(number(node)); }
  /// False if no token is longer than this prefix.
  bool has_children(Node node) const { return node >> 24 != 0; }

  /// The longest token with which `text` begins. REQUIRES: not empty.
  TokenId longest(std::string_view text) const {
    Node node = first(static_cast<unsigned char>(text[0]));
    std::size_t i = 1;
    if (begins_with_three_bytes(text)) {
      const Node character = three_bytes_[three_byte_index(text)];
      if (character != kNone) {
        node = character;
        i = 3;
      }
    }
    Node best = node;
    for (; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == kNone) break;
      if (is_token(node)) best = node;
    }
    return token(best);
  }
  /// The next shorter token with which `id` begins, or -1.
  TokenId shorter(TokenId id) const { return shorter_[static_cast<std::size_t>(id)]; }

 private:
  using Edges = LineTable<32>;
  static constexpr Node kNumber = 0xFFFFFFu;

  static bool begins_with_three_bytes(std::string_view text) {
    return text.size() >= 3 && (static_cast<unsigned char>(text[0]) & 0xF0u) == 0xE0u &&
           is_continuation(text[1]) && is_continuation(text[2]);
  }
  static std::size_t three_byte_index(std::string_view text) {
    const auto at = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    return (at(0) & 0xFu) << 12 | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
  }

  static std::uint32_t number(Node node) { return node & kNumber; }
  static std::uint64_t key(Node node, unsigned char byte) { return number(node) << 8 | byte; }
  static Node filter(unsigned char byte) { return Node{1} << (24 + byte * 5 % 8); }

  Edges edges_;  // (parent, byte) -> child
  std::size_t id_limit_ = 0;
  std::vector<Node> first_;  // by byte
  // Tokens of one character of three bytes: half of the steps in Chinese. By the last four bits of
  // the first byte and the last six of the others; the second and third byte must be continuations.
  std::vector<Node> three_bytes_;
  std::vector<TokenId> shorter_;  // by id
};

}  // namespace qwen3guard::tokens
