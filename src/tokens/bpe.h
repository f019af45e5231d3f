// Byte-level byte-pair encoding: the vocabulary, the merges, and the one result they define.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"
#include "tokens/line_table.h"
#include "tokens/token_trie.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::tokens {

/// Place of a merge in the list; lower merges first.
using Rank = std::uint32_t;
inline constexpr Rank kNoRank = 0xFFFFFFFFu;

/// Limits on files, checked before anything is allocated for them.
inline constexpr std::size_t kMaxTokenId = (1u << 21) - 1;
inline constexpr std::size_t kMaxMerges = (1u << 22) - 2;
inline constexpr std::size_t kMaxTokenBytes = 1u << 16;

/// A vocabulary with raw bytes (the printable alphabet of the file already undone).
struct BpeSpec {
  struct Token {
    TokenId id;
    std::string bytes;
  };
  struct Merge {
    std::string left, right;
  };
  std::vector<Token> tokens;
  std::vector<Merge> merges;  // in order of rank
};

/// Immutable. Thread-safe.
class Bpe {
 public:
  /// Errors: kCorruptFile (ids or strings twice, a merge twice or of parts that do not make its
  /// whole), kUnsupported (a byte without a token, over a limit).
  static Result<Bpe> create(const BpeSpec& spec);

  /// Appends the ids of one piece: repeatedly merge the pair of lowest rank, the leftmost first.
  /// O(n) for regular() vocabularies, else O(n log n).
  void encode_piece(std::string_view piece, std::vector<TokenId>& ids) const;

  /// Bytes of a token; empty for an id that is not in the vocabulary.
  std::string_view bytes(TokenId id) const {
    const auto i = static_cast<std::size_t>(id);
    return id < 0 || i + 1 >= begin_.size()
               ? std::string_view()
               : std::string_view(blob_).substr(begin_[i], begin_[i + 1] - begin_[i]);
  }
  std::size_t length(TokenId id) const {
    return begin_[static_cast<std::size_t>(id) + 1] - begin_[static_cast<std::size_t>(id)];
  }
  std::optional<TokenId> find(std::string_view bytes) const;
  /// One more than the largest id of the vocabulary.
  std::size_t id_limit() const { return begin_.size() - 1; }
  std::size_t longest_token() const { return longest_; }

  /// Whether every token has at most one merge, of a higher rank than its parts'. Real vocabularies
  /// are like this (Qwen3's is), and only then do pair_holds() and the incremental encoder work.
  bool regular() const { return regular_; }
  /// Whether the token is what its own bytes encode to: no other token occurs in any encoding.
  bool reachable(TokenId id) const { return reachable_[static_cast<std::size_t>(id)] != 0; }
  /// Whether the encoding of left + right is exactly {left, right}. A sequence is the encoding of
  /// its bytes if and only if this holds for every two neighbours. REQUIRES: regular(), both
  /// reachable().
  bool pair_holds(TokenId left, TokenId right) const { return no_merge_across(left, right, false); }
  /// The reachable tokens.
  const TokenTrie& trie() const { return trie_; }

  /// The definition, carried out merge by merge in O(n log n): for irregular vocabularies and as
  /// the reference for encode_piece in tests.
  void merge_piece(std::string_view piece, std::vector<TokenId>& ids) const;

 private:
  Bpe() = default;
  Rank rank(TokenId left, TokenId right) const;
  bool no_merge_across(TokenId left, TokenId right, bool skip_first) const;
  TokenId find_or(std::string_view bytes, TokenId otherwise) const;
  void fit_tokens(std::string_view piece, std::vector<TokenId>& ids) const;
  Status add_tokens(const BpeSpec& spec);
  Status add_merges(const BpeSpec& spec);
  void find_reachable();

  // Token bytes: blob_[begin_[id], begin_[id + 1]).
  std::string blob_;
  std::vector<std::uint32_t> begin_;
  std::size_t longest_ = 0;
  std::array<TokenId, 256> byte_token_{};

  // Open addressing from bytes to id. The tag saves most comparisons.
  struct Slot {
    std::uint32_t tag;
    TokenId id;  // -1: free
  };
  std::vector<Slot> slots_;

  LineTable<22> pairs_;               // left (21 bits), right (21 bits) -> rank
  std::vector<Rank> byte_pair_rank_;  // [256 * first + second]
  std::vector<TokenId> whole_;        // by rank

  // By token, for pair_holds: its merge. Bytes (and unreachable tokens) have none.
  struct Origin {
    Rank rank = kNoRank;
    TokenId left = -1, right = -1;
  };
  std::vector<Origin> origin_;
  std::vector<std::uint8_t> reachable_;
  bool regular_ = false;
  TokenTrie trie_;
};

}  // namespace qwen3guard::tokens
