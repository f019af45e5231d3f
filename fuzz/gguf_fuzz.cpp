// Any bytes as a GGUF file: an error, or metadata and tensors that lie inside the bytes and can be
// read.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "bytes/gguf.h"
#include "bytes/utf8.h"

using namespace qwen3guard;

namespace {

void check_error(const Error& error) {
  QG_CHECK(!error.message.empty());
  QG_CHECK(!bytes::find_invalid_utf8(error.message));
}

template <typename T>
bool reads(const bytes::GgufEntry& entry) {
  const auto value = entry.as<T>();
  if (!value.ok()) check_error(value.error());
  return value.ok();
}

/// Exactly the types that can hold the value read it.
void check_entry(const bytes::GgufEntry& entry) {
  using bytes::GgufType;
  const bool is_float = entry.type == GgufType::kF32 || entry.type == GgufType::kF64;
  const bool is_string = entry.type == GgufType::kString;
  const bool is_bool = entry.type == GgufType::kBool;
  const bool is_integer = !is_float && !is_string && !is_bool;
  const bool scalar = !entry.is_array;
  QG_CHECK(reads<std::string_view>(entry) == (is_string && scalar));
  QG_CHECK(reads<bool>(entry) == (is_bool && scalar));
  QG_CHECK(reads<double>(entry) == (is_float && scalar));
  QG_CHECK((reads<std::int64_t>(entry) || reads<std::uint64_t>(entry)) == (is_integer && scalar));
  QG_CHECK(!reads<std::int32_t>(entry) || reads<std::int64_t>(entry));
  QG_CHECK(!reads<std::uint32_t>(entry) || reads<std::uint64_t>(entry));
  QG_CHECK(reads<std::vector<bool>>(entry) == (is_bool && entry.is_array));
  QG_CHECK(reads<std::vector<double>>(entry) == (is_float && entry.is_array));
  QG_CHECK(!reads<std::vector<std::int64_t>>(entry) || (is_integer && entry.is_array));
  const auto strings = entry.as<std::vector<std::string_view>>();
  QG_CHECK(strings.ok() == (is_string && entry.is_array));
  if (!strings.ok()) return;
  QG_CHECK(strings->size() == entry.count);
  for (const std::string_view text : *strings) QG_CHECK(!bytes::find_invalid_utf8(text));
}

void check_tensor(const bytes::GgufTensor& tensor) {
  const auto columns = static_cast<std::size_t>(tensor.shape.back());
  if (tensor.data.empty()) return;
  const auto stride = static_cast<std::size_t>(bytes::row_bytes(tensor.type, columns));
  QG_CHECK(stride * (static_cast<std::size_t>(tensor.elements()) / columns) == tensor.data.size());
  std::vector<float> row(columns);
  const Status status = bytes::dequantize_row(tensor.type, tensor.data.first(stride), row);
  if (!status.ok()) return check_error(status.error());
  for (const float value : row) QG_CHECK(std::isfinite(value));
  for (const auto type : {bytes::GgmlType::kQ8_0, bytes::GgmlType::kQ4_0}) {
    if (columns % bytes::block_layout(type).elements != 0) continue;
    std::vector<std::byte> packed(static_cast<std::size_t>(bytes::row_bytes(type, columns)));
    // The largest numbers of F32 and of the K types have no scale in fp16.
    if (!bytes::quantize_row(type, row, packed).ok()) continue;
    QG_CHECK(bytes::dequantize_row(type, packed, row).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  const auto file = bytes::GgufFile::parse(input);
  if (!file.ok()) {
    check_error(file.error());
    return 0;
  }
  for (const bytes::GgufEntry& entry : file->metadata()) {
    QG_CHECK(file->find_metadata(entry.key) == &entry);
    QG_CHECK(entry.offset + entry.bytes.size() <= input.size());
    QG_CHECK(entry.bytes.data() == input.data() + entry.offset);
    check_entry(entry);
  }
  std::size_t covered = 0;
  for (const bytes::GgufTensor& tensor : file->tensors()) {
    QG_CHECK(file->find(tensor.name) == &tensor);
    if (!tensor.data.empty()) {
      QG_CHECK(tensor.data.data() >= input.data());
      QG_CHECK(tensor.data.data() + tensor.data.size() <= input.data() + input.size());
    }
    covered += tensor.data.size();
    check_tensor(tensor);
  }
  QG_CHECK(covered <= input.size());
  return 0;
}
