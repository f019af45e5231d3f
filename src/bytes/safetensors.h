// Readers of the safetensors format: https://github.com/huggingface/safetensors (8-byte little-endian header length,
// JSON header, tensor bytes). Hostile input gives an Error, never a crash or a large allocation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bytes/mapped_file.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// Every dtype of the format; the model code accepts the floating ones it knows.
enum class DType { kBool, kU8, kI8, kF8E5M2, kF8E4M3, kI16, kU16, kF16, kBF16, kI32, kU32, kF32, kI64, kU64, kF64 };
std::string_view dtype_name(DType dtype);  // "BF16"
std::size_t dtype_size(DType dtype);       // bytes per element

/// A tensor inside a mapped file. Data is little-endian, row-major and aligned as the file has it: use
/// memcpy or the kernels' unaligned loads.
struct TensorView {
  std::string_view name;
  DType dtype;
  std::span<const std::int64_t> shape;
  std::span<const std::byte> data;
  std::int64_t elements() const;
};

/// One .safetensors file.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& path);
  /// Parses bytes that the caller keeps alive (fuzzing, tests).
  static Result<SafetensorsFile> parse(std::span<const std::byte> bytes);

  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile();

  /// In the order of their data.
  std::span<const TensorView> tensors() const;
  const TensorView* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const;

 private:
  struct State;
  explicit SafetensorsFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The tensors of a checkpoint directory: model.safetensors, or the shards that
/// model.safetensors.index.json names. Errors name the file and the tensor.
class TensorStore {
 public:
  static Result<TensorStore> open(const std::filesystem::path& directory);

  const TensorView* find(std::string_view name) const;
  std::vector<const TensorView*> tensors() const;
  std::vector<std::filesystem::path> files() const;

 private:
  std::vector<std::pair<std::filesystem::path, SafetensorsFile>> files_;
  std::map<std::string, const TensorView*, std::less<>> by_name_;
};

/// A tensor to write. REQUIRES: data holds exactly the shape's elements.
struct TensorToWrite {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

/// Writes atomically: a temporary file in the same directory, flushed to disk, then renamed.
/// Errors: kIo (a full disk included); the old file, if any, is untouched then.
Status write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                         const std::map<std::string, std::string>& metadata);

}  // namespace qwen3guard::bytes
