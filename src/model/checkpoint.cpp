#include "model/checkpoint.h"

#include "base/try.h"
#include "bytes/quote.h"
#include "model/gguf_names.h"

namespace qwen3guard::model {
namespace {

std::optional<bytes::GgmlType> float_type(bytes::DType dtype) {
  switch (dtype) {
    case bytes::DType::kF32:
      return bytes::GgmlType::kF32;
    case bytes::DType::kBF16:
      return bytes::GgmlType::kBF16;
    case bytes::DType::kF16:
      return bytes::GgmlType::kF16;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& path) {
  Checkpoint checkpoint;
  if (std::error_code ignored; std::filesystem::is_regular_file(path, ignored)) {
    QG_TRY(checkpoint.gguf_, bytes::GgufFile::open(path));
    auto config = gguf_config(*checkpoint.gguf_);
    if (!config.ok()) return std::move(config).error().with_context(bytes::quote_path(path));
    checkpoint.config_ = std::move(config).value();
    return checkpoint;
  }
  QG_TRY(checkpoint.config_, load_config(path));
  QG_TRY(checkpoint.store_, bytes::TensorStore::open(path));
  return checkpoint;
}

Result<StoredMatrix> Checkpoint::find_shaped(const std::string& name,
                                             const std::vector<std::int64_t>& shape) const {
  StoredMatrix matrix;
  std::vector<std::int64_t> found;
  if (gguf_) {
    if (const auto its_name = gguf_tensor_name(name)) {
      if (const bytes::GgufTensor* tensor = gguf_->find(*its_name)) {
        matrix.type = tensor->type;
        matrix.data = tensor->data;
        found.assign(tensor->shape.begin(), tensor->shape.end());
      }
    } else if (const bytes::GgufEntry* head = gguf_->find_metadata(gguf_head_key(name))) {
      if (!head->is_array || head->type != bytes::GgufType::kF32) {
        return Error{ErrorCode::kUnsupported, "key " + std::string(head->key) +
                                                  ": expected an array of f32, found " +
                                                  head->type_text()};
      }
      matrix.data = head->bytes;
      found = shape;  // an array has only a length
      const auto count = static_cast<std::int64_t>(head->count);
      const std::int64_t width = shape.back();
      if (shape.front() == 0) found.front() = count % width == 0 ? count / width : 0;
      if (count != found.front() * (shape.size() == 1 ? 1 : width)) found = {count};
    }
  } else if (const bytes::TensorView* tensor = store_->find(name)) {
    const auto type = float_type(tensor->dtype);
    if (!type) {
      return Error{ErrorCode::kUnsupported, "tensor " + name +
                                                ": expected dtype BF16, F16 or F32, found " +
                                                std::string(bytes::dtype_name(tensor->dtype)) +
                                                "; convert the checkpoint to one of them"};
    }
    matrix.type = *type;
    matrix.data = tensor->data;
    found.assign(tensor->shape.begin(), tensor->shape.end());
  }
  if (found.empty()) {
    const std::string shown = gguf_ ? gguf_tensor_name(name).value_or(gguf_head_key(name)) : name;
    return Error{ErrorCode::kNotFound,
                 "tensor " + shown +
                     " is missing; the configuration asks for it: is this the right checkpoint, "
                     "completely downloaded?"};
  }
  bool same = found.size() == shape.size();
  for (std::size_t i = 0; same && i < shape.size(); ++i)
    same = shape[i] == 0 ? found[i] > 0 : found[i] == shape[i];
  if (!same) {
    return Error{ErrorCode::kCorruptFile, "tensor " + name + ": the configuration asks for shape " +
                                              bytes::shape_text(shape) + ", found " +
                                              bytes::shape_text(found) +
                                              "; configuration and weights do not belong together"};
  }
  matrix.rows = shape.size() == 1 ? 1 : static_cast<std::size_t>(found.front());
  matrix.columns = static_cast<std::size_t>(found.back());
  return matrix;
}

Result<StoredMatrix> Checkpoint::find_stored(const std::string& name, std::size_t rows,
                                             std::size_t columns) const {
  return find_shaped(name, {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)});
}

Result<kernels::Matrix> Checkpoint::find_matrix(const std::string& name, std::size_t rows,
                                                std::size_t columns) const {
  QG_TRY(const StoredMatrix stored, find_stored(name, rows, columns));
  if (!stored.is_float()) {
    return Error{ErrorCode::kUnsupported, "tensor " + name + ": expected F32, F16 or BF16, found " +
                                              std::string(bytes::ggml_type_name(stored.type)) +
                                              "; heads are not quantized"};
  }
  return stored.matrix();
}

Result<std::vector<float>> Checkpoint::find_vector(const std::string& name,
                                                   std::size_t size) const {
  QG_TRY(const StoredMatrix stored, find_shaped(name, {static_cast<std::int64_t>(size)}));
  std::vector<float> values(size);
  if (auto status = stored.widen(0, values); !status.ok())
    return std::move(status).error().with_context("tensor " + name);
  return values;
}

}  // namespace qwen3guard::model
