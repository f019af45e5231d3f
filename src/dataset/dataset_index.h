// The folder of sets: index.json says what each holds and under which licence.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dataset/labelled_conversation.h"
#include "qwen3guard/result.h"

namespace qwen3guard::dataset {

struct DatasetEntry {
  std::string name;
  std::size_t rows = 0;
  std::string licence;
  /// "permissive", "share-alike", "non-commercial" or "unstated".
  std::string licence_class;
  std::filesystem::path file;
};

/// Reads DIR/index.json; each set lies beside it as NAME.jsonl.gz or NAME.jsonl. Errors name the
/// entry.
Result<std::vector<DatasetEntry>> read_dataset_index(const std::filesystem::path& directory);

/// The sets of several folders together. Errors: also kInvalidArgument when two have the same name.
Result<std::vector<DatasetEntry>> read_dataset_indexes(
    const std::vector<std::filesystem::path>& directories);

/// Streams one set and checks that it has exactly the rows that the index promises.
Status read_dataset(const DatasetEntry& entry,
                    const std::function<Status(LabelledConversation)>& visit);

/// The entry of that name. Errors: kNotFound.
Result<DatasetEntry> find_dataset(const std::vector<DatasetEntry>& index, const std::string& name);

}  // namespace qwen3guard::dataset
