#include "tokens/token_trie.h"

#include <algorithm>

namespace qwen3guard::tokens {
namespace {

constexpr std::size_t kMaxNodes = (1u << 24) - 1;

}  // namespace

bool TokenTrie::build(std::vector<Entry> entries, std::size_t id_limit) {
  // Shorter tokens first, so that a prefix that is a token already has its node.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.bytes.size() < b.bytes.size(); });
  id_limit_ = id_limit;
  first_.assign(256, kNone);
  shorter_.assign(id_limit, -1);

  // Room for the edges: the prefixes that no token before has, counted in lexicographic order.
  std::vector<std::string_view> sorted;
  for (const Entry& entry : entries) sorted.push_back(entry.bytes);
  std::sort(sorted.begin(), sorted.end());
  std::size_t prefixes = 0;
  std::string_view last;
  for (const std::string_view bytes : sorted) {
    const auto shared = std::mismatch(bytes.begin(), bytes.end(), last.begin(), last.end()).first;
    prefixes += static_cast<std::size_t>(bytes.end() - shared);
    last = bytes;
  }
  if (id_limit + prefixes > kMaxNodes) return false;
  edges_ = Edges(prefixes);

  auto next_node = static_cast<Node>(id_limit);
  std::vector<Node> filters(id_limit + prefixes, 0);
  for (const Entry& entry : entries) {
    const auto at = [&entry](std::size_t i) { return static_cast<unsigned char>(entry.bytes[i]); };
    const auto id = static_cast<Node>(entry.id);
    if (entry.bytes.size() == 1) {
      first_[at(0)] = id;
      continue;
    }
    Node node = first_[at(0)];
    Node prefix = node;
    for (std::size_t i = 1; i < entry.bytes.size(); ++i) {
      const std::uint64_t cell = edges_.find(key(node, at(i)));
      Node next = static_cast<Node>(cell);
      if (cell == Edges::kFree) {
        next = i + 1 == entry.bytes.size() ? id : next_node++;
        edges_.insert(key(node, at(i)), next);
        filters[node] |= filter(at(i));
      }
      node = next;
      if (i + 1 < entry.bytes.size() && is_token(node)) prefix = node;
    }
    shorter_[static_cast<std::size_t>(entry.id)] = static_cast<TokenId>(prefix);
  }
  edges_.for_each([&filters](std::uint64_t& cell) { cell |= filters[static_cast<Node>(cell)]; });
  for (Node& node : first_) node |= filters[node];
  three_bytes_.assign(std::size_t{1} << 16, kNone);
  for (const Entry& entry : entries) {
    if (entry.bytes.size() != 3 || !begins_with_three_bytes(entry.bytes)) continue;
    const auto id = static_cast<Node>(entry.id);
    three_bytes_[three_byte_index(entry.bytes)] = id | filters[id];
  }
  return true;
}

}  // namespace qwen3guard::tokens
