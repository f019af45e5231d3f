#include "dataset/selection.h"

#include <algorithm>

#include "dataset/sha256.h"

namespace qwen3guard::dataset {

std::vector<DatasetEntry> select_sets(const std::vector<DatasetEntry>& index,
                                      const SetFilter& filter) {
  std::vector<DatasetEntry> result;
  for (const auto& entry : index) {
    const bool allowed = std::ranges::find(filter.licence_classes, entry.licence_class) !=
                         filter.licence_classes.end();
    const bool excluded = std::ranges::find(filter.exclude, entry.name) != filter.exclude.end();
    if (allowed && !excluded) result.push_back(entry);
  }
  return result;
}

bool is_held_out(std::string_view id, std::uint32_t modulus) {
  return modulus != 0 && modulo(sha256(id), modulus) == 0;
}

std::set<std::string> smallest_by_hash(std::vector<std::string> ids, std::size_t count) {
  std::vector<std::pair<Sha256Digest, std::string>> hashed;
  hashed.reserve(ids.size());
  for (auto& id : ids) hashed.emplace_back(sha256(id), std::move(id));
  std::ranges::sort(hashed);
  std::set<std::string> result;
  for (std::size_t i = 0; i < std::min(count, hashed.size()); ++i) result.insert(hashed[i].second);
  return result;
}

}  // namespace qwen3guard::dataset
