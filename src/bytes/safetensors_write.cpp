#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/json.h"
#include "bytes/quote.h"
#include "bytes/safetensors.h"
#include "bytes/safetensors_header.h"
#include "bytes/utf8.h"

namespace qwen3guard::bytes {
namespace {

Error refuse(ErrorCode code, const std::filesystem::path& path, const std::string& what) {
  return {code, "cannot write " + quote_path(path) + ": " + what};
}

Status check_names(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                   const std::map<std::string, std::string>& metadata) {
  const auto refuse_name = [&](std::string_view name, const char* why) {
    return refuse(ErrorCode::kInvalidArgument, path,
                  quote(name) + " " + why + "; choose another name");
  };
  std::set<std::string_view> names;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.name == kMetadataKey) return refuse_name(tensor.name, "is reserved by the format");
    if (find_invalid_utf8(tensor.name)) return refuse_name(tensor.name, "is not valid UTF-8");
    if (!names.insert(tensor.name).second)
      return refuse_name(tensor.name, "is the name of two tensors");
  }
  for (const auto& [key, value] : metadata) {
    if (find_invalid_utf8(key) || find_invalid_utf8(value)) {
      return refuse_name(key, "in the metadata is not valid UTF-8");
    }
  }
  return {};
}

}  // namespace

Status write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                         const std::map<std::string, std::string>& metadata) {
  QG_CHECK_OK(check_names(path, tensors, metadata));
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return dtype_size(a->dtype) > dtype_size(b->dtype);
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::uint64_t offset = 0;
  for (const TensorToWrite* tensor : order) {
    std::uint64_t size = dtype_size(tensor->dtype);
    for (const std::int64_t dimension : tensor->shape) {
      QG_CHECK(dimension >= 0 &&
               !__builtin_mul_overflow(size, static_cast<std::uint64_t>(dimension), &size));
    }
    QG_CHECK(size == tensor->data.size());
    header[tensor->name] = {{"dtype", dtype_name(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data starts aligned
  if (text.size() > kMaxHeaderBytes) {
    return refuse(ErrorCode::kTooLong, path,
                  "its header would have " + byte_count(text.size()) + ", the format allows " +
                      byte_count(kMaxHeaderBytes) + "; split the tensors over several files");
  }

  const std::uint64_t length = text.size();
  QG_TRY(AtomicFile file, AtomicFile::create(path));
  QG_CHECK_OK(file.write(std::as_bytes(std::span(&length, 1))));
  QG_CHECK_OK(file.write(text));
  for (const TensorToWrite* tensor : order) QG_CHECK_OK(file.write(tensor->data));
  return file.commit();
}

}  // namespace qwen3guard::bytes
