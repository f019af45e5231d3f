#include "tokens/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>
#include <utility>

#include "base/check.h"

namespace qwen3guard::tokens {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;

std::uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 21 |
         static_cast<std::uint32_t>(right);
}

std::uint64_t load(const char* p, std::size_t size) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, size);
  return word;
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  a ^= b;
  a *= kGolden;
  return a ^ a >> 29;
}

std::uint64_t hash_bytes(std::string_view bytes) {
  const char* p = bytes.data();
  std::size_t n = bytes.size();
  std::uint64_t h = n * 0xD6E8FEB86659FD93u;
  if (n >= 8) {
    for (; n > 8; n -= 8, p += 8) h = mix(h, load(p, 8));
    // The last eight bytes, overlapping what has been read.
    h = mix(h, load(p + n - 8, 8));
  } else if (n >= 4) {
    h = mix(h, load(p, 4) | load(p + n - 4, 4) << 32);
  } else if (n > 0) {
    const auto at = [p](std::size_t i) {
      return static_cast<std::uint64_t>(static_cast<unsigned char>(p[i]));
    };
    h = mix(h, at(0) | at(n / 2) << 8 | at(n - 1) << 16);
  }
  return mix(h, h >> 32);
}

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }
Error unsupported(std::string message) { return {ErrorCode::kUnsupported, std::move(message)}; }

std::size_t table_size(std::size_t entries) {
  return std::bit_ceil(std::max<std::size_t>(entries + entries / 2 + 1, 16));
}

}  // namespace

Result<Bpe> Bpe::create(const BpeSpec& spec) {
  Bpe bpe;
  if (Status status = bpe.add_tokens(spec); !status.ok()) return std::move(status).error();
  if (Status status = bpe.add_merges(spec); !status.ok()) return std::move(status).error();
  bpe.find_reachable();
  return bpe;
}

Status Bpe::add_tokens(const BpeSpec& spec) {
  std::size_t limit = 0;
  for (const auto& token : spec.tokens) {
    if (token.id < 0 || static_cast<std::size_t>(token.id) > kMaxTokenId) {
      return unsupported("vocabulary: id " + std::to_string(token.id) + " is outside 0 to " +
                         std::to_string(kMaxTokenId));
    }
    if (token.bytes.empty() || token.bytes.size() > kMaxTokenBytes) {
      return corrupt("vocabulary: token " + std::to_string(token.id) + " has " +
                     std::to_string(token.bytes.size()) + " bytes, expected 1 to " +
                     std::to_string(kMaxTokenBytes));
    }
    limit = std::max(limit, static_cast<std::size_t>(token.id) + 1);
    longest_ = std::max(longest_, token.bytes.size());
  }
  std::vector<const std::string*> by_id(limit, nullptr);
  for (const auto& token : spec.tokens) {
    const std::string*& place = by_id[static_cast<std::size_t>(token.id)];
    if (place != nullptr) {
      return corrupt("vocabulary: id " + std::to_string(token.id) + " belongs to two tokens");
    }
    place = &token.bytes;
  }
  begin_.assign(1, 0);
  begin_.reserve(limit + 1);
  for (const std::string* bytes : by_id) {
    if (bytes != nullptr) blob_ += *bytes;
    if (blob_.size() > 0x7FFFFFFFu) return unsupported("vocabulary: more than 2 GiB of tokens");
    begin_.push_back(static_cast<std::uint32_t>(blob_.size()));
  }

  slots_.assign(table_size(spec.tokens.size()), Slot{0, -1});
  const std::size_t mask = slots_.size() - 1;
  for (const auto& token : spec.tokens) {
    const std::uint64_t h = hash_bytes(token.bytes);
    std::size_t i = h & mask;
    for (; slots_[i].id >= 0; i = (i + 1) & mask) {
      if (bytes(slots_[i].id) == token.bytes) {
        return corrupt("vocabulary: tokens " + std::to_string(slots_[i].id) + " and " +
                       std::to_string(token.id) + " are the same string");
      }
    }
    slots_[i] = {static_cast<std::uint32_t>(h >> 32), token.id};
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const TokenId id = find_or(std::string_view(&c, 1), -1);
    if (id < 0) {
      return unsupported("vocabulary: no token for the single byte " + std::to_string(byte) +
                         "; a byte-level vocabulary has all 256");
    }
    byte_token_[byte] = id;
  }
  return {};
}

Status Bpe::add_merges(const BpeSpec& spec) {
  if (spec.merges.size() > kMaxMerges) {
    return unsupported("merges: " + std::to_string(spec.merges.size()) + ", at most " +
                       std::to_string(kMaxMerges) + " are supported");
  }
  pairs_ = LineTable<22>(spec.merges.size());
  byte_pair_rank_.assign(256 * 256, kNoRank);
  origin_.assign(id_limit(), Origin{});
  regular_ = true;
  std::string joined;
  for (std::size_t r = 0; r < spec.merges.size(); ++r) {
    const std::string& a = spec.merges[r].left;
    const std::string& b = spec.merges[r].right;
    joined.assign(a).append(b);
    const TokenId left = find_or(a, -1), right = find_or(b, -1), whole = find_or(joined, -1);
    const auto name = [r] { return "merge " + std::to_string(r); };
    if (left < 0 || right < 0 || whole < 0) {
      return corrupt(name() + ": " + (left < 0 || right < 0 ? "a part" : "the result") +
                     " is not in the vocabulary");
    }
    const std::uint64_t key = pair_key(left, right);
    if (pairs_.find(key) != pairs_.kFree)
      return corrupt(name() + ": the same pair as an earlier merge");
    pairs_.insert(key, r);
    whole_.push_back(whole);
    if (a.size() == 1 && b.size() == 1) {
      byte_pair_rank_[256u * static_cast<unsigned char>(a[0]) + static_cast<unsigned char>(b[0])] =
          static_cast<Rank>(r);
    }
    const auto made_before = [this](TokenId part) {
      return length(part) == 1 || origin_[static_cast<std::size_t>(part)].rank != kNoRank;
    };
    Origin& origin = origin_[static_cast<std::size_t>(whole)];
    regular_ = regular_ && origin.rank == kNoRank && made_before(left) && made_before(right);
    origin = {static_cast<Rank>(r), left, right};
  }
  return {};
}

void Bpe::find_reachable() {
  reachable_.assign(id_limit(), 0);
  if (!regular_) {
    std::vector<TokenId> ids;
    for (std::size_t id = 0; id < id_limit(); ++id) {
      const std::string_view token = bytes(static_cast<TokenId>(id));
      if (token.empty()) continue;
      ids.clear();
      merge_piece(token, ids);
      reachable_[id] = ids.size() == 1;
    }
    return;
  }
  for (const TokenId id : byte_token_) reachable_[static_cast<std::size_t>(id)] = 1;
  for (const TokenId id : whole_) {  // parts come before what they make
    const Origin& origin = origin_[static_cast<std::size_t>(id)];
    reachable_[static_cast<std::size_t>(id)] =
        reachable(origin.left) && reachable(origin.right) &&
        no_merge_across(origin.left, origin.right, /*skip_first=*/true);
  }
  std::vector<TokenTrie::Entry> entries;
  for (std::size_t i = 0; i < id_limit(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (reachable(id)) entries.push_back({id, bytes(id)});
  }
  regular_ = trie_.build(std::move(entries), id_limit());
}

TokenId Bpe::find_or(std::string_view key, TokenId otherwise) const {
  const std::uint64_t h = hash_bytes(key);
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<std::uint32_t>(h >> 32);
  for (std::size_t i = h & mask; slots_[i].id >= 0; i = (i + 1) & mask) {
    if (slots_[i].tag == tag && bytes(slots_[i].id) == key) return slots_[i].id;
  }
  return otherwise;
}

std::optional<TokenId> Bpe::find(std::string_view key) const {
  const TokenId id = find_or(key, -1);
  return id < 0 ? std::nullopt : std::optional(id);
}

Rank Bpe::rank(TokenId left, TokenId right) const {
  const std::uint64_t cell = pairs_.find(pair_key(left, right));
  return cell == pairs_.kFree ? kNoRank : static_cast<Rank>(cell & 0x3FFFFFu);
}

// Runs the merges of both tokens backwards, the latest first, and looks at each pair that then
// faced each other across the seam: had it a rank below the merges that used its members up, it
// would have merged. Equal ranks go to the leftmost pair: the one inside `left` comes before the
// seam, the one inside `right` after it.
bool Bpe::no_merge_across(TokenId left, TokenId right, bool skip_first) const {
  Rank left_until = kNoRank, right_until = kNoRank;
  for (bool skip = skip_first;; skip = false) {
    if (!skip) {
      const Rank r = rank(left, right);
      if (r != kNoRank && r < left_until && r <= right_until) return false;
    }
    const Origin& l = origin_[static_cast<std::size_t>(left)];
    const Origin& r = origin_[static_cast<std::size_t>(right)];
    if (l.rank == kNoRank && r.rank == kNoRank) return true;
    if (l.rank == kNoRank || (r.rank != kNoRank && r.rank >= l.rank)) {
      right_until = r.rank;
      right = r.left;
    } else {
      left_until = l.rank;
      left = l.right;
    }
  }
}

void Bpe::encode_piece(std::string_view piece, std::vector<TokenId>& ids) const {
  if (piece.size() == 1) {
    ids.push_back(byte_token_[static_cast<unsigned char>(piece[0])]);
    return;
  }
  if (piece.size() <= longest_) {
    const TokenId id = find_or(piece, -1);
    if (id >= 0 && reachable(id)) {
      ids.push_back(id);
      return;
    }
  }
  if (regular_) {
    fit_tokens(piece, ids);
  } else {
    merge_piece(piece, ids);
  }
}

// Takes the longest token that may follow the last one; backs out of dead ends. Whatever sequence
// this finds is the encoding, because only one has neighbours that all hold. A position from which
// the rest could not be encoded is never entered again, so the work is linear.
void Bpe::fit_tokens(std::string_view piece, std::vector<TokenId>& ids) const {
  const std::size_t start = ids.size();
  std::vector<bool> dead;  // by position; empty until the first dead end
  std::size_t position = 0;
  TokenId token = trie_.longest(piece);
  while (token >= 0) {
    const std::size_t end = position + length(token);
    if ((dead.empty() || !dead[end]) && (ids.size() == start || pair_holds(ids.back(), token))) {
      ids.push_back(token);
      position = end;
      token = end == piece.size() ? -1 : trie_.longest(piece.substr(end));
      continue;
    }
    token = trie_.shorter(token);
    if (token >= 0) continue;
    QG_CHECK(ids.size() > start);  // the encoding exists
    if (dead.empty()) dead.resize(piece.size() + 1);
    dead[position] = true;
    token = ids.back();
    ids.pop_back();
    position -= length(token);
  }
}

void Bpe::merge_piece(std::string_view piece, std::vector<TokenId>& ids) const {
  constexpr std::uint32_t kEnd = 0xFFFFFFFFu;
  struct Symbol {
    TokenId id;  // -1: merged into its left neighbour
    std::uint32_t previous, next;
  };
  const auto n = static_cast<std::uint32_t>(piece.size());
  std::vector<Symbol> symbols(n);
  // (rank, position): the lowest rank first, then the leftmost.
  std::vector<std::uint64_t> candidates;
  candidates.reserve(n);
  const auto byte = [&piece](std::size_t i) { return static_cast<unsigned char>(piece[i]); };
  for (std::uint32_t i = 0; i < n; ++i) {
    symbols[i] = {byte_token_[byte(i)], i == 0 ? kEnd : i - 1, i + 1 == n ? kEnd : i + 1};
    if (i + 1 == n) continue;
    const Rank r = byte_pair_rank_[256u * byte(i) + byte(i + 1)];
    if (r != kNoRank) candidates.push_back(static_cast<std::uint64_t>(r) << 32 | i);
  }
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> queue(
      std::greater<>(), std::move(candidates));
  const auto offer = [&](std::uint32_t position) {
    const Symbol& symbol = symbols[position];
    if (symbol.next == kEnd) return;
    const Rank r = rank(symbol.id, symbols[symbol.next].id);
    if (r != kNoRank) queue.push(static_cast<std::uint64_t>(r) << 32 | position);
  };
  while (!queue.empty()) {
    const std::uint64_t top = queue.top();
    queue.pop();
    const auto position = static_cast<std::uint32_t>(top);
    const auto r = static_cast<Rank>(top >> 32);
    Symbol& symbol = symbols[position];
    // A candidate is stale if either member has merged since.
    if (symbol.id < 0 || symbol.next == kEnd || rank(symbol.id, symbols[symbol.next].id) != r) {
      continue;
    }
    Symbol& gone = symbols[symbol.next];
    symbol.id = whole_[r];
    symbol.next = gone.next;
    gone.id = -1;
    if (symbol.next != kEnd) symbols[symbol.next].previous = position;
    offer(position);
    if (symbol.previous != kEnd) offer(symbol.previous);
  }
  for (std::uint32_t i = 0; i != kEnd; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace qwen3guard::tokens
