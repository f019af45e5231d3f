#include "bytes/gguf.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "base/try.h"
#include "bytes/gguf_header.h"
#include "bytes/mapped_file.h"
#include "bytes/other_format.h"
#include "bytes/quote.h"

namespace qwen3guard::bytes {
namespace {

Error corrupt(std::string what) {
  return {ErrorCode::kCorruptFile, std::move(what) + "; download the file again"};
}

Error corrupt_tensor(const GgufTensorInfo& tensor, const std::string& what) {
  return corrupt("tensor " + quote(tensor.name) + " (data at " + std::to_string(tensor.offset) +
                 "): " + what);
}

/// Pointers to `values`, sorted by the string `name`.
template <typename Value>
std::vector<const Value*> sorted_by(const std::vector<Value>& values,
                                    std::string_view Value::*name) {
  std::vector<const Value*> sorted;
  sorted.reserve(values.size());
  for (const Value& value : values) sorted.push_back(&value);
  std::sort(sorted.begin(), sorted.end(),
            [name](const Value* a, const Value* b) { return a->*name < b->*name; });
  return sorted;
}

template <typename Value>
const Value* find_twice(const std::vector<const Value*>& sorted, std::string_view Value::*name) {
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(),
                         [name](const Value* a, const Value* b) { return a->*name == b->*name; });
  return twice == sorted.end() ? nullptr : *twice;
}

template <typename Value>
const Value* find_in(const std::vector<const Value*>& sorted, std::string_view Value::*name,
                     std::string_view wanted) {
  const auto at =
      std::lower_bound(sorted.begin(), sorted.end(), wanted,
                       [name](const Value* a, std::string_view b) { return a->*name < b; });
  return at != sorted.end() && (*at)->*name == wanted ? *at : nullptr;
}

/// Checks that the tensors follow each other with nothing but padding between and behind them, in a
/// file of `file_bytes` whose data start at `data_begin`.
Status check_layout(const std::vector<GgufTensorInfo>& tensors, std::uint64_t data_begin,
                    std::uint64_t file_bytes, std::uint64_t alignment) {
  std::vector<const GgufTensorInfo*> order;
  order.reserve(tensors.size());
  for (const GgufTensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const GgufTensorInfo* a, const GgufTensorInfo* b) {
    return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
  });

  const std::uint64_t data_bytes = file_bytes > data_begin ? file_bytes - data_begin : 0;
  std::uint64_t covered = 0;
  const GgufTensorInfo* before = nullptr;
  for (const GgufTensorInfo* tensor : order) {
    if (tensor->offset % alignment != 0) {
      return corrupt_tensor(*tensor,
                            "expected a multiple of the alignment " + std::to_string(alignment));
    }
    if (tensor->offset < covered) {
      return corrupt_tensor(*tensor, "overlaps tensor " + quote(before->name) + ", which ends at " +
                                         std::to_string(covered));
    }
    if (tensor->offset != gguf_padded(covered, alignment)) {
      return corrupt_tensor(
          *tensor,
          "expected at " + std::to_string(gguf_padded(covered, alignment)) + ", directly behind " +
              (before == nullptr ? std::string("the header") : "tensor " + quote(before->name)));
    }
    if (tensor->bytes == 0) continue;
    if (tensor->offset > data_bytes || tensor->bytes > data_bytes - tensor->offset) {
      return corrupt_tensor(
          *tensor, "its " + byte_count(tensor->bytes) + " lie outside the file, which has " +
                       byte_count(data_bytes) + " of tensor data: it is cut short or damaged");
    }
    covered = tensor->offset + tensor->bytes;
    before = tensor;
  }
  const std::uint64_t end = data_begin + gguf_padded(covered, alignment);
  if (file_bytes > end) {
    return corrupt("the file has " + byte_count(file_bytes) + ", but its tensors end at byte " +
                   std::to_string(end));
  }
  return {};
}

}  // namespace

std::int64_t GgufTensor::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) count *= dimension;
  return count;
}

struct GgufFile::State {
  std::optional<MappedFile> file;  // nothing when the caller owns the bytes
  GgufHeader header;
  std::vector<GgufTensor> tensors;  // into header.tensors, in the same order
  std::vector<const GgufEntry*> entries_by_key;
  std::vector<const GgufTensor*> tensors_by_name;

  Status load(std::span<const std::byte> bytes);
  Result<std::uint64_t> alignment() const;
};

Status GgufFile::State::load(std::span<const std::byte> bytes) {
  if (auto error = other_format(bytes, "GGUF")) return std::move(*error);
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min(bytes.size(), kGgufMagic.size()));
  if (start != kGgufMagic) {
    return corrupt("not a GGUF file: it starts with " + quote(start) + ", expected 'GGUF'");
  }
  QG_TRY(header, parse_gguf_header(bytes));
  entries_by_key = sorted_by(header.metadata, &GgufEntry::key);
  if (const GgufEntry* twice = find_twice(entries_by_key, &GgufEntry::key)) {
    return corrupt("metadata " + quote(twice->key) + " appears twice");
  }
  tensors.reserve(header.tensors.size());
  for (const GgufTensorInfo& info : header.tensors) {
    tensors.push_back({.name = info.name,
                       .type = info.type,
                       .shape = std::span(info.shape).first(info.rank),
                       .data = {}});
  }
  tensors_by_name = sorted_by(tensors, &GgufTensor::name);
  if (const GgufTensor* twice = find_twice(tensors_by_name, &GgufTensor::name)) {
    return corrupt("tensor " + quote(twice->name) + " appears twice");
  }

  QG_TRY(const std::uint64_t align, alignment());
  const std::uint64_t data_begin = gguf_padded(header.end, align);
  QG_CHECK_OK(check_layout(header.tensors, data_begin, bytes.size(), align));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const GgufTensorInfo& info = header.tensors[i];
    if (info.bytes == 0) continue;  // may stand behind the end of the file
    tensors[i].data = bytes.subspan(static_cast<std::size_t>(data_begin + info.offset),
                                    static_cast<std::size_t>(info.bytes));
  }
  return {};
}

Result<std::uint64_t> GgufFile::State::alignment() const {
  const GgufEntry* entry = find_in(entries_by_key, &GgufEntry::key, kGgufAlignmentKey);
  if (entry == nullptr) return kGgufDefaultAlignment;
  QG_TRY(const std::uint32_t value, entry->as<std::uint32_t>());
  if (!std::has_single_bit(value)) {
    return corrupt("metadata " + quote(kGgufAlignmentKey) + ": expected a power of two, found " +
                   std::to_string(value));
  }
  return std::uint64_t{value};
}

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  QG_TRY(state->file, MappedFile::open(path));
  if (auto status = state->load(state->file->bytes()); !status.ok()) {
    return std::move(status).error().with_context(quote_path(path));
  }
  return GgufFile(std::move(state));
}

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes) {
  auto state = std::make_unique<State>();
  QG_CHECK_OK(state->load(bytes));
  return GgufFile(std::move(state));
}

GgufFile::GgufFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

Error GgufFile::missing(std::string_view key) {
  return {ErrorCode::kNotFound,
          "the file has no metadata " + quote(key) + "; is it a model of the right kind?"};
}

std::uint32_t GgufFile::version() const { return state_->header.version; }

std::span<const GgufEntry> GgufFile::metadata() const { return state_->header.metadata; }

const GgufEntry* GgufFile::find_metadata(std::string_view key) const {
  return find_in(state_->entries_by_key, &GgufEntry::key, key);
}

std::span<const GgufTensor> GgufFile::tensors() const { return state_->tensors; }

const GgufTensor* GgufFile::find(std::string_view name) const {
  return find_in(state_->tensors_by_name, &GgufTensor::name, name);
}

}  // namespace qwen3guard::bytes
