// A checkpoint as published: a directory with config.json and safetensors, or one GGUF file.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bytes/gguf.h"
#include "bytes/safetensors.h"
#include "model/config.h"
#include "model/stored_matrix.h"
#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// Tensors by their official names, whatever the container calls them (docs/formats/gguf.md).
class Checkpoint {
 public:
  /// Errors: those of the readers, kCorruptFile and kUnsupported for a configuration that is not a
  /// dense Qwen3.
  static Result<Checkpoint> open(const std::filesystem::path& path);

  const ModelConfig& config() const { return config_; }
  /// The GGUF file, if it is one; it holds the tokenizer too.
  const bytes::GgufFile* gguf() const { return gguf_ ? &*gguf_ : nullptr; }
  /// The safetensors, if it is a directory.
  const bytes::TensorStore* safetensors() const { return store_ ? &*store_ : nullptr; }

  /// Any tensor type that we can widen. 0 rows: any number. Errors: kNotFound, kCorruptFile
  /// (shape), kUnsupported (dtype).
  Result<StoredMatrix> find_stored(const std::string& name, std::size_t rows,
                                   std::size_t columns) const;
  /// A matrix that the kernels read as it is: F32, F16 or BF16. Errors: the same.
  Result<kernels::Matrix> find_matrix(const std::string& name, std::size_t rows,
                                      std::size_t columns) const;
  /// A vector as fp32. Errors: the same.
  Result<std::vector<float>> find_vector(const std::string& name, std::size_t size) const;

  /// A matrix, or a vector as its only row. 0 in `shape`: any size. Errors: the same.
  Result<StoredMatrix> find_shaped(const std::string& name,
                                   const std::vector<std::int64_t>& shape) const;

 private:
  Checkpoint() = default;

  ModelConfig config_;
  std::optional<bytes::TensorStore> store_;
  std::optional<bytes::GgufFile> gguf_;
};

}  // namespace qwen3guard::model
