// Reads and writes safetensors, https://github.com/huggingface/safetensors: an 8-byte little-endian
// header length, a JSON header, the bytes of the tensors. Hostile input gives an Error, never a
// crash or a large allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bytes/mapped_file.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// Every dtype of the format; the model code accepts the floating ones it knows.
enum class DType {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64,
};
std::string_view dtype_name(DType dtype);  // "BF16"
std::optional<DType> parse_dtype(std::string_view name);
std::size_t dtype_size(DType dtype);  // bytes per element
/// "[1024, 3072]", for messages.
std::string shape_text(std::span<const std::int64_t> shape);

/// A tensor inside a mapped file. Data is little-endian, row-major and aligned as the file has it:
/// use memcpy or the kernels' unaligned loads.
struct TensorView {
  std::string_view name;
  DType dtype;
  std::span<const std::int64_t> shape;
  std::span<const std::byte> data;
  std::int64_t elements() const;
};

/// One .safetensors file. Everything is checked on open: the header's length against the file and
/// the format's 100 MB, its JSON, every dtype and shape, that data_offsets match them, lie inside
/// the file and cover it without overlap or hole, and that no name appears twice. The tensors'
/// bytes are not read.
class SafetensorsFile {
 public:
  /// Errors: kNotFound, kIo, kCorruptFile, kUnsupported (another format, an unknown dtype).
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

/// The tensors of a checkpoint directory: model.safetensors, or else the shards that
/// model.safetensors.index.json names. The index may name only files of the directory itself, and
/// index and shards must agree on every tensor. Errors name the file and the tensor.
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

/// Writes atomically: a temporary file in the same directory, flushed to disk, then renamed. Wider
/// dtypes come first, else in the given order, so that every tensor is aligned in the file. Errors:
/// kIo (a full disk included), kNotFound (no such directory), kInvalidArgument (a name that is not
/// UTF-8, reserved or given twice); the old file, if any, is untouched then.
Status write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                         const std::map<std::string, std::string>& metadata);

}  // namespace qwen3guard::bytes
