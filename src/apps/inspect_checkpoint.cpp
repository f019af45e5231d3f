#include "apps/inspect_checkpoint.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "apps/expected_tensors.h"
#include "apps/inspect_text.h"
#include "base/try.h"
#include "bytes/describe.h"
#include "bytes/gguf.h"
#include "bytes/quote.h"
#include "bytes/safetensors.h"
#include "heads/stream_heads.h"
#include "model/config.h"
#include "model/gguf_names.h"
#include "model/model.h"
#include "tokens/chat_template.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::apps {
namespace {

using Tensors = std::vector<const bytes::TensorView*>;

bool is_float(bytes::DType type) {
  switch (type) {
    case bytes::DType::kF8E5M2:
    case bytes::DType::kF8E4M3:
    case bytes::DType::kF16:
    case bytes::DType::kBF16:
    case bytes::DType::kF32:
    case bytes::DType::kF64:
      return true;
    default:
      return false;
  }
}

std::vector<TensorLine> lines(const Tensors& tensors) {
  std::vector<TensorLine> result;
  for (const bytes::TensorView* tensor : tensors)
    result.push_back({tensor->name, bytes::dtype_name(tensor->dtype), tensor->shape});
  return result;
}

void check_values(const Tensors& tensors, int threads, Inspection& inspection) {
  std::vector<bytes::TensorSummary> summaries(tensors.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < tensors.size(); i = next++) {
      summaries[i] = bytes::summarize(*tensors[i]);
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();

  double minimum = 0, maximum = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const bytes::TensorSummary& summary = summaries[i];
    const std::string name = "tensor " + plain(summary.name);
    minimum = std::min(minimum, summary.minimum);
    maximum = std::max(maximum, summary.maximum);
    if (summary.nan_count + summary.infinite_count > 0) {
      inspection.problems.push_back(name + ": " + std::to_string(summary.nan_count) + " NaN and " +
                                    std::to_string(summary.infinite_count) + " infinite of " +
                                    std::to_string(tensors[i]->elements()) +
                                    " values; the file is damaged or its training diverged");
    } else if (tensors[i]->elements() > 0 &&
               summary.zero_count == static_cast<std::uint64_t>(tensors[i]->elements())) {
      inspection.notes.push_back(name + ": all values are zero");
    }
  }
  char text[80];
  std::snprintf(text, sizeof text, "all read, from %.6g to %.6g", minimum, maximum);
  inspection.facts += fact("values", text);
}

std::string parameters_text(const Tensors& tensors) {
  std::uint64_t parameters = 0, stored = 0;
  std::set<std::string_view> types;
  for (const bytes::TensorView* tensor : tensors) {
    parameters += static_cast<std::uint64_t>(tensor->elements());
    stored += tensor->data.size();
    types.insert(bytes::dtype_name(tensor->dtype));
  }
  std::string text =
      std::to_string(parameters) + " in " + std::to_string(tensors.size()) + " tensors (";
  for (const std::string_view type : types) text += std::string(type) + ", ";
  return text + bytes::byte_count(stored) + ")";
}

void check_tensors(const model::ModelConfig& config, const bytes::TensorStore& store,
                   Inspection& inspection) {
  std::set<std::string_view> expected_names;
  const std::vector<ExpectedTensor> expected = expected_tensors(config);
  for (const ExpectedTensor& tensor : expected) {
    expected_names.insert(tensor.name);
    const bytes::TensorView* found = store.find(tensor.name);
    if (found == nullptr) {
      inspection.problems.push_back("tensor " + tensor.name + " is missing");
      continue;
    }
    const bool same = std::equal(
        tensor.shape.begin(), tensor.shape.end(), found->shape.begin(), found->shape.end(),
        [](std::int64_t wanted, std::int64_t is) { return wanted == 0 ? is > 0 : wanted == is; });
    if (!same) {
      inspection.problems.push_back("tensor " + tensor.name + ": config.json asks for shape " +
                                    bytes::shape_text(tensor.shape) + ", found " +
                                    bytes::shape_text(found->shape));
    }
    if (!is_float(found->dtype)) {
      inspection.problems.push_back("tensor " + tensor.name +
                                    ": expected a floating dtype, found " +
                                    std::string(bytes::dtype_name(found->dtype)));
    }
  }
  for (const bytes::TensorView* tensor : store.tensors()) {
    if (!expected_names.contains(tensor->name)) {
      inspection.notes.push_back("tensor " + plain(tensor->name) + " is not used");
    }
  }
}

void describe_tokenizer(const Result<std::shared_ptr<const tokens::Tokenizer>>& tokenizer,
                        const model::ModelConfig* config, Inspection& inspection) {
  if (!tokenizer.ok()) {
    inspection.problems.push_back("tokenizer: " + plain(tokenizer.error().message));
    return;
  }
  const std::size_t size = (*tokenizer)->vocabulary_size();
  std::string text = std::to_string(size) + " tokens";
  for (const std::string_view name : tokens::kControlTokens) {
    if (const auto id = (*tokenizer)->added_token(name)) {
      text += ", " + std::string(name) + " " + std::to_string(*id);
    } else {
      inspection.problems.push_back("tokenizer: the added token " + std::string(name) +
                                    " is missing; the chat template needs it");
    }
  }
  inspection.facts += fact("tokenizer", text);
  if (config != nullptr && size > config->vocabulary_size) {
    inspection.problems.push_back("tokenizer: " + std::to_string(size) +
                                  " tokens, but the model embeds only " +
                                  std::to_string(config->vocabulary_size));
  }
}

bool is_known_file(const std::string& name) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "config.json", "model.safetensors.index.json", "tokenizer.json",          "vocab.json",
      "merges.txt",  "tokenizer_config.json",        "special_tokens_map.json", "added_tokens.json",
      "README.md",   "generation_config.json",       "chat_template.jinja",     "LICENSE"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() || name.starts_with(".") ||
         name.ends_with(".safetensors") || name.ends_with(".py");
}

void describe_files(const std::filesystem::path& directory, Inspection& inspection) {
  std::uint64_t total = 0;
  std::size_t count = 0;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failure)) {
    std::error_code unreadable;
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file(unreadable)) {
      const auto size = entry.file_size(unreadable);
      if (!unreadable) total += size;
      ++count;
    }
    if (!is_known_file(name)) inspection.notes.push_back("file " + plain(name) + " is not read");
  }
  inspection.facts +=
      fact("on disk", bytes::byte_count(total) + " in " + std::to_string(count) + " files");
}

void describe_store(const bytes::TensorStore& store, bool read_values, int threads,
                    Inspection& inspection) {
  const Tensors tensors = store.tensors();
  inspection.facts += fact("parameters", parameters_text(tensors));
  if (read_values) check_values(tensors, threads, inspection);
}

// The tests above look for what is wrong; this one proves that the rest is right.
void check_loading(const std::filesystem::path& directory, Inspection& inspection) {
  auto model = model::Model::load(directory);
  if (!model.ok()) {
    inspection.problems.push_back("loading: " + plain(model.error().message));
    return;
  }
  if (!(*model)->config().guard) return;
  if (const auto heads = heads::StreamHeads::load(*model); !heads.ok()) {
    inspection.problems.push_back("heads: " + plain(heads.error().message));
  }
}

std::string value_text(const bytes::GgufEntry& entry) {
  if (entry.is_array) return entry.type_text();
  if (const auto text = entry.as<std::string_view>(); text.ok())
    return plain(text->substr(0, 100)) + (text->size() > 100 ? " ..." : "");
  if (const auto flag = entry.as<bool>(); flag.ok()) return *flag ? "true" : "false";
  if (const auto number = entry.as<std::int64_t>(); number.ok()) return std::to_string(*number);
  if (const auto number = entry.as<double>(); number.ok()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", *number);
    return text;
  }
  return entry.type_text();
}

// Stops at the first row with a problem.
void check_rows(const std::string& name, const model::StoredMatrix& matrix,
                Inspection& inspection) {
  std::vector<float> row(matrix.columns);
  for (std::size_t r = 0; r < matrix.rows; ++r) {
    const Status status = matrix.widen(r, row);
    if (status.ok() &&
        std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); }))
      continue;
    inspection.problems.push_back(
        name + ", row " + std::to_string(r) + ": " +
        (status.ok() ? "holds NaN or infinity" : plain(status.error().message)));
    return;
  }
}

void check_gguf_values(const bytes::GgufFile& file, Inspection& inspection) {
  for (const bytes::GgufTensor& tensor : file.tensors()) {
    if (tensor.data.empty()) continue;  // some dimension is 0
    const auto columns = static_cast<std::size_t>(tensor.shape.back());
    check_rows(
        "tensor " + plain(tensor.name),
        {tensor.type, tensor.data, static_cast<std::size_t>(tensor.elements()) / columns, columns},
        inspection);
  }
}

}  // namespace

Result<Inspection> inspect_gguf(const std::filesystem::path& file, bool read_values) {
  Inspection inspection;
  const auto opened = bytes::GgufFile::open(file);
  if (!opened.ok()) {
    const ErrorCode code = opened.error().code;
    if (code == ErrorCode::kNotFound || code == ErrorCode::kIo) return opened.error();
    inspection.problems.push_back(plain(opened.error().message));
    return inspection;
  }
  inspection.facts += fact("format", "GGUF version " + std::to_string(opened->version()));
  const auto config = model::gguf_config(*opened);
  if (config.ok()) {
    inspection.facts += config_facts(*config);
  } else {
    inspection.problems.push_back(plain(config.error().message));
  }
  describe_tokenizer(tokens::Tokenizer::from_gguf(*opened), config.ok() ? &*config : nullptr,
                     inspection);
  std::set<std::string> expected;
  if (const auto checkpoint = model::Checkpoint::open(file); checkpoint.ok()) {
    for (const ExpectedTensor& tensor : expected_tensors(checkpoint->config())) {
      const auto found = checkpoint->find_shaped(tensor.name, tensor.shape);
      const auto name = model::gguf_tensor_name(tensor.name);
      if (name) expected.insert(*name);
      if (!found.ok()) {
        inspection.problems.push_back(plain(found.error().message));
      } else if (!name && read_values) {  // a head: no tensor of the file
        check_rows("key " + model::gguf_head_key(tensor.name), *found, inspection);
      }
    }
  }
  std::uint64_t parameters = 0, stored = 0;
  std::vector<TensorLine> table;
  for (const bytes::GgufTensor& tensor : opened->tensors()) {
    parameters += static_cast<std::uint64_t>(tensor.elements());
    stored += tensor.data.size();
    table.push_back({tensor.name, bytes::ggml_type_name(tensor.type), tensor.shape});
    if (config.ok() && !expected.contains(std::string(tensor.name)))
      inspection.notes.push_back("tensor " + plain(tensor.name) + " is not used");
  }
  inspection.facts +=
      fact("parameters", std::to_string(parameters) + " in " + std::to_string(table.size()) +
                             " tensors (" + bytes::byte_count(stored) + ")");
  if (read_values) check_gguf_values(*opened, inspection);
  if (inspection.problems.empty()) check_loading(file, inspection);
  inspection.facts += "metadata\n";
  for (const bytes::GgufEntry& entry : opened->metadata())
    inspection.facts += "  " + plain(entry.key) + " = " + value_text(entry) + "\n";
  inspection.facts += "tensors\n" + tensor_table(table);
  return inspection;
}

Result<Inspection> inspect_checkpoint(const std::filesystem::path& directory, bool read_values,
                                      int threads) {
  std::error_code failure;
  (void)std::filesystem::directory_iterator(directory, failure);
  if (failure) {
    return Error{ErrorCode::kIo,
                 "cannot read " + bytes::quote_path(directory) + ": " + failure.message()};
  }
  Inspection inspection;
  describe_files(directory, inspection);
  const auto config = model::load_config(directory);
  if (config.ok()) {
    inspection.facts += config_facts(*config);
  } else {
    inspection.problems.push_back(plain(config.error().message));
  }
  describe_tokenizer(tokens::Tokenizer::load(directory), config.ok() ? &*config : nullptr,
                     inspection);
  const auto store = bytes::TensorStore::open(directory);
  if (!store.ok()) {
    inspection.problems.push_back(plain(store.error().message));
    return inspection;
  }
  describe_store(*store, read_values, threads, inspection);
  if (config.ok()) {
    const std::size_t before = inspection.problems.size();
    check_tensors(*config, *store, inspection);
    if (inspection.problems.size() == before) check_loading(directory, inspection);
  }
  inspection.facts += "tensors\n" + tensor_table(lines(store->tensors()));
  return inspection;
}

Result<Inspection> inspect_safetensors(const std::filesystem::path& file, bool read_values,
                                       int threads) {
  Inspection inspection;
  const auto opened = bytes::SafetensorsFile::open(file);
  if (!opened.ok()) {
    const ErrorCode code = opened.error().code;
    if (code == ErrorCode::kNotFound || code == ErrorCode::kIo) return opened.error();
    inspection.problems.push_back(plain(opened.error().message));
    return inspection;
  }
  Tensors tensors;
  for (const bytes::TensorView& tensor : opened->tensors()) tensors.push_back(&tensor);
  inspection.facts += fact("kind", "safetensors");
  for (const auto& [key, value] : opened->metadata()) {
    inspection.facts += fact("metadata", plain(key) + " = " + plain(value));
  }
  inspection.facts += fact("parameters", parameters_text(tensors));
  if (read_values) check_values(tensors, threads, inspection);
  inspection.facts += "tensors\n" + tensor_table(lines(tensors));
  return inspection;
}

}  // namespace qwen3guard::apps
