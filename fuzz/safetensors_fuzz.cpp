// Any bytes as a safetensors file: an error, or tensors that lie inside the bytes and fit together.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "bytes/describe.h"
#include "bytes/safetensors.h"
#include "bytes/utf8.h"

using namespace qwen3guard;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  const auto file = bytes::SafetensorsFile::parse(input);
  if (!file.ok()) {
    QG_CHECK(!file.error().message.empty());
    QG_CHECK(!bytes::find_invalid_utf8(file.error().message));
    return 0;
  }
  std::size_t covered = 0;
  for (const bytes::TensorView& tensor : file->tensors()) {
    QG_CHECK(file->find(tensor.name) == &tensor);
    QG_CHECK(static_cast<std::uint64_t>(tensor.elements()) * bytes::dtype_size(tensor.dtype) ==
             tensor.data.size());
    if (!tensor.data.empty()) {
      QG_CHECK(tensor.data.data() >= input.data());
      QG_CHECK(tensor.data.data() + tensor.data.size() <= input.data() + input.size());
    }
    covered += tensor.data.size();
    const auto summary = bytes::summarize(tensor);
    QG_CHECK(summary.minimum <= summary.maximum);
  }
  QG_CHECK(covered <= input.size());
  return 0;
}
