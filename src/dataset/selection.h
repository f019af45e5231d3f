// Which rows train, which validate, and which must never be trained on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/dataset_index.h"
#include "dataset/labelled_conversation.h"

namespace qwen3guard::dataset {

/// Sets whose licence allows the use, minus those excluded by name.
struct SetFilter {
  std::vector<std::string> licence_classes = {"permissive", "share-alike"};
  std::vector<std::string> exclude;
};

/// In the index's order.
std::vector<DatasetEntry> select_sets(const std::vector<DatasetEntry>& index,
                                      const SetFilter& filter);

/// Held out for validation: SHA-256 of the id is divisible by `modulus` (0 holds nothing out).
/// Depends on the id only, so it stays the same whatever else is trained on.
bool is_held_out(std::string_view id, std::uint32_t modulus);

/// The `count` ids with the smallest SHA-256, of those given.
std::set<std::string> smallest_by_hash(std::vector<std::string> ids, std::size_t count);

/// Keeps the `count` rows whose `id` has the smallest SHA-256, in their order.
template <typename Row>
void keep_smallest_by_hash(std::vector<Row>& rows, std::size_t count) {
  if (rows.size() <= count) return;
  std::vector<std::string> ids;
  for (const Row& row : rows) ids.push_back(row.id);
  const auto chosen = smallest_by_hash(std::move(ids), count);
  std::erase_if(rows, [&](const Row& row) { return !chosen.contains(row.id); });
}

}  // namespace qwen3guard::dataset
