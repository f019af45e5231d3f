#include "dataset/category_map.h"

#include <nlohmann/json.hpp>

#include "base/try.h"
#include "bytes/json.h"

namespace qwen3guard::dataset {

Result<CategoryMap> CategoryMap::read(const std::filesystem::path& path) {
  QG_TRY(const nlohmann::json root, bytes::read_json(path));
  const auto fail = [&](const std::string& what) {
    return Error{ErrorCode::kInvalidJson, path.string() + ": " + what};
  };
  if (!root.is_object()) return fail("expected an object of sets");
  CategoryMap map;
  for (const auto& [source, names] : root.items()) {
    if (!names.is_object()) return fail("\"" + source + "\": expected an object of category names");
    auto& table = map.table_[source];
    for (const auto& [name, ours] : names.items()) {
      if (ours.is_null()) {
        table[name] = std::nullopt;
        continue;
      }
      const auto category =
          ours.is_string() ? parse_category(ours.get<std::string>()) : std::nullopt;
      if (!category)
        return fail("\"" + source + "\" / \"" + name + "\": no category is called " + ours.dump());
      table[name] = category;
    }
  }
  return map;
}

std::optional<Category> CategoryMap::category(const LabelledConversation& row) const {
  const auto set = table_.find(row.source);
  std::optional<Category> best;
  if (set == table_.end()) {
    for (const auto& name : row.categories) {
      const auto ours = parse_category(name);
      if (ours && (*ours != Category::kJailbreak || row.target == Target::kPrompt)) best = ours;
    }
    return best;
  }
  for (const auto& name : row.categories) {
    const auto it = set->second.find(name);
    if (it == set->second.end() || !it->second) continue;
    if (*it->second == Category::kJailbreak) {
      if (row.target == Target::kPrompt) return Category::kJailbreak;
      continue;
    }
    best = it->second;
  }
  if (best) return best;
  const auto fallback = set->second.find("*");
  return fallback == set->second.end() ? std::nullopt : fallback->second;
}

bool CategoryMap::knows(const std::string& source, const std::string& name) const {
  const auto set = table_.find(source);
  return set != table_.end() && set->second.contains(name);
}

}  // namespace qwen3guard::dataset
