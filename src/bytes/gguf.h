// Reads and writes GGUF, the file format of ggml and llama.cpp: typed metadata, then tensors, some
// of them quantised. Hostile input gives an Error, never a crash or a large allocation.
// docs/formats/gguf.md has the bytes and the limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bytes/ggml_blocks.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// Types of metadata, with the numbers that files use. 9 is the array, see GgufEntry.
enum class GgufType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
std::string_view gguf_type_name(GgufType type);  // "u32"

/// A key and its value inside a mapped file.
struct GgufEntry {
  std::string_view key;
  GgufType type;  // of the elements, if it is an array
  bool is_array;
  std::uint64_t count;   // elements; 1 if it is no array
  std::uint64_t offset;  // of `bytes` in the file
  /// The elements one after the other, little-endian; a string is its length (u64) and its bytes.
  std::span<const std::byte> bytes;

  /// "u32", "array of 3 string".
  std::string type_text() const;

  /// The value as T: std::string_view (UTF-8, into the file), bool, a signed or unsigned integer
  /// of 32 or 64 bits (from any integer that fits), double (from f32 or f64, NaN included), or a
  /// std::vector of those. Costs nothing but the vector. Errors: kUnsupported (another type, or a
  /// number that does not fit), naming the key.
  template <typename T>
  Result<T> as() const;
};

/// A tensor inside a mapped file.
struct GgufTensor {
  std::string_view name;
  GgmlType type;
  /// Row-major: the last dimension is the one whose numbers lie side by side. The file has them the
  /// other way round.
  std::span<const std::int64_t> shape;
  std::span<const std::byte> data;
  std::int64_t elements() const;
};

/// One .gguf file, version 2 or 3, little-endian. Everything is checked on open except the tensors'
/// bytes, which are not read: counts and lengths against the file, keys, strings (UTF-8) and
/// booleans, that no key or tensor appears twice, shapes, and that the tensors cover the data
/// without overlap or hole other than padding.
class GgufFile {
 public:
  /// Errors: kNotFound, kIo, kCorruptFile, kUnsupported (another format or version, big-endian, an
  /// array of arrays, an unknown tensor type, more than the documented limits).
  static Result<GgufFile> open(const std::filesystem::path& path);
  /// Parses bytes that the caller keeps alive (fuzzing, tests).
  static Result<GgufFile> parse(std::span<const std::byte> bytes);

  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;
  ~GgufFile();

  std::uint32_t version() const;

  /// In the file's order.
  std::span<const GgufEntry> metadata() const;
  const GgufEntry* find_metadata(std::string_view key) const;
  /// GgufEntry::as of `key`. Errors: those, and kNotFound.
  template <typename T>
  Result<T> get(std::string_view key) const {
    const GgufEntry* entry = find_metadata(key);
    if (entry == nullptr) return missing(key);
    return entry->as<T>();
  }

  /// In the file's order.
  std::span<const GgufTensor> tensors() const;
  const GgufTensor* find(std::string_view name) const;

 private:
  struct State;
  explicit GgufFile(std::unique_ptr<State> state);
  static Error missing(std::string_view key);
  std::unique_ptr<State> state_;
};

}  // namespace qwen3guard::bytes
