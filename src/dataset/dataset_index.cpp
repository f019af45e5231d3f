#include "dataset/dataset_index.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/try.h"
#include "bytes/json.h"
#include "dataset/labelled_reader.h"

namespace qwen3guard::dataset {
namespace {

constexpr std::array<std::string_view, 4> kLicenceClasses = {"permissive", "share-alike",
                                                             "non-commercial", "unstated"};

Result<std::string> text(const nlohmann::json& entry, const char* key, const std::string& where) {
  const auto it = entry.find(key);
  if (it == entry.end() || !it->is_string()) {
    return Error{ErrorCode::kInvalidJson, where + ": \"" + key + "\" must be a string"};
  }
  return it->get<std::string>();
}

}  // namespace

Result<std::vector<DatasetEntry>> read_dataset_index(const std::filesystem::path& directory) {
  const auto path = directory / "index.json";
  QG_TRY(const nlohmann::json list, bytes::read_json(path));
  if (!list.is_array())
    return Error{ErrorCode::kInvalidJson, path.string() + ": expected a list of sets"};
  std::vector<DatasetEntry> result;
  for (const auto& value : list) {
    const std::string where = path.string() + ": entry " + std::to_string(result.size());
    if (!value.is_object()) return Error{ErrorCode::kInvalidJson, where + ": expected an object"};
    DatasetEntry entry;
    QG_TRY(entry.name, text(value, "name", where));
    QG_TRY(entry.licence, text(value, "licence", where));
    QG_TRY(entry.licence_class, text(value, "licence_class", where));
    if (std::ranges::find(kLicenceClasses, entry.licence_class) == kLicenceClasses.end()) {
      return Error{ErrorCode::kInvalidJson,
                   where + ": unknown licence_class \"" + entry.licence_class + "\""};
    }
    // The name becomes a path.
    if (entry.name.empty() || entry.name.find_first_of("/\\") != std::string::npos ||
        entry.name[0] == '.') {
      return Error{ErrorCode::kInvalidJson,
                   where + ": \"" + entry.name + "\" is no name for a set"};
    }
    const auto rows = value.find("rows");
    if (rows == value.end() || !rows->is_number_unsigned()) {
      return Error{ErrorCode::kInvalidJson, where + ": \"rows\" must be a number"};
    }
    entry.rows = rows->get<std::size_t>();
    entry.file = directory / (entry.name + ".jsonl.gz");
    if (!std::filesystem::exists(entry.file)) entry.file = directory / (entry.name + ".jsonl");
    result.push_back(std::move(entry));
  }
  return result;
}

Result<std::vector<DatasetEntry>> read_dataset_indexes(
    const std::vector<std::filesystem::path>& directories) {
  std::vector<DatasetEntry> all;
  for (const auto& directory : directories) {
    QG_TRY(std::vector<DatasetEntry> entries, read_dataset_index(directory));
    for (DatasetEntry& entry : entries) {
      if (find_dataset(all, entry.name).ok()) {
        return Error{ErrorCode::kInvalidArgument,
                     directory.string() + ": set " + entry.name + " is in another folder too"};
      }
      all.push_back(std::move(entry));
    }
  }
  return all;
}

Status read_dataset(const DatasetEntry& entry,
                    const std::function<Status(LabelledConversation)>& visit) {
  QG_TRY(const std::size_t rows, for_each_row(entry.file, visit));
  if (rows != entry.rows) {
    return Error{ErrorCode::kCorruptFile, entry.file.string() + ": " + std::to_string(rows) +
                                              " rows, but index.json promises " +
                                              std::to_string(entry.rows)};
  }
  return {};
}

Result<DatasetEntry> find_dataset(const std::vector<DatasetEntry>& index, const std::string& name) {
  const auto it = std::ranges::find(index, name, &DatasetEntry::name);
  if (it == index.end())
    return Error{ErrorCode::kNotFound, "index.json has no set named \"" + name + "\""};
  return *it;
}

}  // namespace qwen3guard::dataset
