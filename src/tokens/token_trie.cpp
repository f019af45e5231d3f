#include "tokens/token_trie.h"

#include <algorithm>
#include <bit>

namespace qwen3guard::tokens {
namespace {

constexpr std::size_t kMaxNodes =
    (1u << 24) - 1;  // a node and a byte fit 32 bits, and not all ones

}  // namespace

bool TokenTrie::build(std::vector<Entry> entries, std::size_t id_limit) {
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.bytes.size();
  if (id_limit + bytes > kMaxNodes) return false;

  id_limit_ = id_limit;
  first_.assign(256, kNone);
  shorter_.assign(id_limit, -1);
  // Shorter tokens first, so that a prefix that is a token already has its node.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.bytes.size() < b.bytes.size(); });
  const auto resize = [this](std::size_t size) {
    slots_.assign(size, kFree);
    mask_ = size - 1;
    shift_ = 64 - std::countr_zero(size);
  };
  const auto insert = [this](std::uint32_t key, Node child) {
    std::size_t i = slot(key);
    while (slots_[i] != kFree) i = (i + 1) & mask_;
    slots_[i] = static_cast<std::uint64_t>(key) << 32 | child;
  };
  resize(std::bit_ceil(entries.size() * 2 + 16));
  std::size_t used = 0;
  auto next_node = static_cast<Node>(id_limit);
  for (const Entry& entry : entries) {
    const auto at = [&entry](std::size_t i) { return static_cast<unsigned char>(entry.bytes[i]); };
    if (entry.bytes.size() == 1) {
      first_[at(0)] = static_cast<Node>(entry.id);
      continue;
    }
    Node node = first_[at(0)];
    Node prefix = node;
    for (std::size_t i = 1; i < entry.bytes.size(); ++i) {
      Node next = child(node, at(i));
      if (next == kNone) {
        if (++used * 4 > slots_.size() * 3) {
          const std::vector<std::uint64_t> old = std::move(slots_);
          resize(old.size() * 2);
          for (const std::uint64_t cell : old) {
            if (cell != kFree)
              insert(static_cast<std::uint32_t>(cell >> 32), static_cast<Node>(cell));
          }
        }
        next = i + 1 == entry.bytes.size() ? static_cast<Node>(entry.id) : next_node++;
        insert(node << 8 | at(i), next);
      }
      node = next;
      if (i + 1 < entry.bytes.size() && is_token(node)) prefix = node;
    }
    shorter_[static_cast<std::size_t>(entry.id)] = static_cast<TokenId>(prefix);
  }
  return true;
}

}  // namespace qwen3guard::tokens
