#include "tokens/prefix_encoder.h"

#include <algorithm>

#include "base/check.h"

namespace qwen3guard::tokens {
namespace {

/// Unsettled bytes up to which every call tries to settle; with more, only after they have grown by
/// a quarter, so that a text that refuses to settle costs linear time in all.
constexpr std::size_t kAlwaysTry = 512;

}  // namespace

void PrefixEncoder::append(std::string_view bytes) {
  const TokenTrie& trie = bpe_->trie();
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    const std::size_t start = size();
    std::size_t kept = 0;
    for (const Open& open : open_) {
      const TokenTrie::Node node = trie.child(open.node, byte);
      if (node != TokenTrie::kNone) open_[kept++] = {open.start, node};
    }
    open_.resize(kept);
    open_.push_back({start, trie.first(byte)});

    const auto token_of = [&](const Open& open) -> TokenId {
      if (!trie.is_token(open.node)) return -1;
      const TokenId token = trie.token(open.node);
      if (open.start == 0 || bpe_->pair_holds(last_token(open.start), token)) return token;
      return -1;
    };
    // Exactly one token can end here. The one that ended a byte before has often just grown (in a
    // run of spaces more than a hundred others are under way); otherwise the longest is the
    // likeliest.
    TokenId last = -1;
    if (start > settled_) {
      const std::size_t same = parent(start);
      const auto grown = std::lower_bound(
          open_.begin(), open_.end(), same,
          [](const Open& open, std::size_t position) { return open.start < position; });
      if (grown->start == same) last = token_of(*grown);
    }
    for (std::size_t i = 0; last < 0 && i < open_.size(); ++i) last = token_of(open_[i]);
    QG_CHECK(last >= 0);
    last_token_.push_back(last);
  }
}

void PrefixEncoder::settle(std::size_t possible_end, std::vector<TokenId>& ids) {
  if (size() - settled_ > kAlwaysTry && size() < next_attempt_) return;
  // The deepest common ancestor of all places that the final encoding may pass through: walk from
  // the rightmost place to its parent until one place is left.
  std::vector<char> place(size() - settled_ + 1, 0);
  std::size_t places = 0;
  const auto mark = [&](std::size_t at) {
    char& marked = place[at - settled_];
    places += marked == 0;
    marked = 1;
  };
  mark(size());
  mark(possible_end);
  for (const Open& open : open_) {
    if (bpe_->trie().has_children(open.node)) mark(open.start);
  }
  std::size_t at = size();
  for (; places > 1; --at) {
    if (place[at - settled_] == 0) continue;
    --places;
    mark(parent(at));
  }
  while (place[at - settled_] == 0) --at;
  encoding(at, ids);
  if (at > settled_) {
    settled_token_ = last_token(at);
    last_token_.erase(last_token_.begin(),
                      last_token_.begin() + static_cast<std::ptrdiff_t>(at - settled_));
    settled_ = at;
  }
  next_attempt_ = size() + (size() - settled_) / 4;
}

void PrefixEncoder::encoding(std::size_t end, std::vector<TokenId>& ids) const {
  const std::size_t first = ids.size();
  while (end > settled_) {
    ids.push_back(last_token(end));
    end = parent(end);
  }
  QG_CHECK(end == settled_);
  std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end());
}

void PrefixEncoder::reset() {
  settled_ = next_attempt_ = 0;
  settled_token_ = -1;
  last_token_.clear();
  open_.clear();
}

}  // namespace qwen3guard::tokens
