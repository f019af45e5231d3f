#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/try.h"
#include "bytes/json.h"
#include "bytes/quote.h"
#include "bytes/safetensors.h"

namespace qwen3guard::bytes {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";
/// The largest published index has 15 MB; its depth is 2.
constexpr JsonLimits kIndexLimits = {
    .max_bytes = 128u << 20, .max_depth = 8, .max_values = 2u << 20};

/// Tensor name -> file name, checked to stay inside the directory.
using WeightMap = std::map<std::string, std::string>;

/// A name in the directory itself. Anything else could read files that are none of the
/// checkpoint's.
bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

Result<WeightMap> read_weight_map(const fs::path& path) {
  const auto corrupt = [&](std::string what) {
    return Error{ErrorCode::kCorruptFile,
                 quote_path(path) + ": " + std::move(what) + "; download the file again"};
  };
  QG_TRY(const nlohmann::json index, read_json(path, kIndexLimits));
  if (!index.is_object())
    return corrupt("expected a JSON object, found " + std::string(index.type_name()));
  const auto map = index.find("weight_map");
  if (map == index.end()) return corrupt("the object 'weight_map' is missing");
  if (!map->is_object()) {
    return corrupt("'weight_map': expected an object, found " + std::string(map->type_name()));
  }
  if (map->empty()) return corrupt("'weight_map' names no tensor");
  WeightMap weights;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) {
      return corrupt("'weight_map': tensor " + quote(tensor) + ": expected a file name, found " +
                     file.type_name());
    }
    const auto& name = file.get_ref<const std::string&>();
    if (!is_plain_file_name(name)) {
      return Error{ErrorCode::kCorruptFile,
                   quote_path(path) + ": 'weight_map': tensor " + quote(tensor) +
                       " is said to be in " + quote(name) +
                       ", expected the plain name of a file in the same directory; do not "
                       "use this checkpoint unless you trust where it comes from"};
    }
    weights.emplace(tensor, name);
  }
  return weights;
}

Status check_shards_exist(const fs::path& directory, const std::set<std::string>& shards) {
  std::string missing;
  std::size_t count = 0;
  for (const std::string& shard : shards) {
    std::error_code ignored;  // other failures than absence are reported by opening the file
    if (fs::status(directory / shard, ignored).type() != fs::file_type::not_found) continue;
    if (++count <= 5) missing += (missing.empty() ? "" : ", ") + quote(shard);
  }
  if (count == 0) return {};
  if (count > 5) missing += " and " + std::to_string(count - 5) + " more";
  return Error{ErrorCode::kNotFound, quote_path(directory) + " lacks " + missing + " of the " +
                                         std::to_string(shards.size()) + " files that " +
                                         kIndexName + " names; finish the download"};
}

Error no_checkpoint(const fs::path& directory) {
  std::string message =
      quote_path(directory) + " holds neither " + kSingleName + " nor " + kIndexName;
  std::error_code ignored;
  if (fs::exists(directory / "pytorch_model.bin", ignored) ||
      fs::exists(directory / "pytorch_model.bin.index.json", ignored)) {
    message += "; it has pytorch_model.bin: convert the checkpoint to safetensors";
  } else {
    message += "; expected the directory of a Hugging Face checkpoint";
  }
  return {ErrorCode::kNotFound, std::move(message)};
}

}  // namespace

Result<TensorStore> TensorStore::open(const fs::path& directory) {
  std::error_code ignored;
  const auto type = fs::status(directory, ignored).type();
  if (type == fs::file_type::not_found) {
    return Error{ErrorCode::kNotFound,
                 "no directory " + quote_path(directory) + "; check the path"};
  }
  if (type == fs::file_type::regular) {
    return Error{ErrorCode::kInvalidArgument,
                 quote_path(directory) + " is a file, expected the directory of a checkpoint"};
  }

  TensorStore store;
  // The single file wins over an index, as it does in the reference.
  if (fs::exists(directory / kSingleName, ignored)) {
    QG_TRY(SafetensorsFile file, SafetensorsFile::open(directory / kSingleName));
    for (const TensorView& tensor : file.tensors()) store.by_name_.emplace(tensor.name, &tensor);
    store.files_.emplace_back(directory / kSingleName, std::move(file));
    return store;
  }
  if (!fs::exists(directory / kIndexName, ignored)) return no_checkpoint(directory);

  QG_TRY(const WeightMap weights, read_weight_map(directory / kIndexName));
  std::set<std::string> shards;
  for (const auto& [tensor, file] : weights) shards.insert(file);
  QG_CHECK_OK(check_shards_exist(directory, shards));

  for (const std::string& shard : shards) {
    QG_TRY(SafetensorsFile file, SafetensorsFile::open(directory / shard));
    for (const TensorView& tensor : file.tensors()) {
      const auto listed = weights.find(std::string(tensor.name));
      if (listed == weights.end() || listed->second != shard) {
        return Error{ErrorCode::kCorruptFile,
                     quote_path(directory / shard) + " holds tensor " + quote(tensor.name) +
                         ", which " + kIndexName +
                         (listed == weights.end() ? " does not list"
                                                  : " puts into " + quote(listed->second)) +
                         ": the files are of different downloads; download the checkpoint again"};
      }
      store.by_name_.emplace(tensor.name, &tensor);
    }
    store.files_.emplace_back(directory / shard, std::move(file));
  }
  for (const auto& [tensor, file] : weights) {
    if (store.find(tensor) == nullptr) {
      return Error{ErrorCode::kCorruptFile,
                   quote_path(directory / kIndexName) + ": tensor " + quote(tensor) +
                       " is said to be in " + quote(file) +
                       ", but that file does not hold it; download the checkpoint again"};
    }
  }
  return store;
}

const TensorView* TensorStore::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

std::vector<const TensorView*> TensorStore::tensors() const {
  std::vector<const TensorView*> all;
  all.reserve(by_name_.size());
  for (const auto& [path, file] : files_) {
    for (const TensorView& tensor : file.tensors()) all.push_back(&tensor);
  }
  return all;
}

std::vector<fs::path> TensorStore::files() const {
  std::vector<fs::path> paths;
  paths.reserve(files_.size());
  for (const auto& [path, file] : files_) paths.push_back(path);
  return paths;
}

}  // namespace qwen3guard::bytes
