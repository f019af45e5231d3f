// The sets' own category names, mapped to ours by one readable table (categories.json).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "dataset/labelled_conversation.h"
#include "qwen3guard/result.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard::dataset {

/// Table: {"SET": {"set's own name": "our name" | null, "*": fallback}}. null says that the name
/// was looked at and has no counterpart; "*" serves rows whose names give nothing.
class CategoryMap {
 public:
  /// Errors: kInvalidJson for anything that is not such a table, an unknown category of ours
  /// included.
  static Result<CategoryMap> read(const std::filesystem::path& path);

  /// Our category of a row, or none. A set without an entry in the table uses our own names. Where
  /// several names map, the last wins (sets go from general to specific), except that Jailbreak
  /// wins for a prompt: it says how the text attacks, which the others do not. Jailbreak never
  /// applies to a response.
  std::optional<Category> category(const LabelledConversation& row) const;
  /// Whether the table has an entry, be it null, for this name of this set.
  bool knows(const std::string& source, const std::string& name) const;

 private:
  std::map<std::string, std::map<std::string, std::optional<Category>>> table_;
};

}  // namespace qwen3guard::dataset
