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

/// A value to write, stored with exactly the type it has here.
using GgufValue =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t,
                 std::int32_t, float, bool, std::string, std::uint64_t, std::int64_t, double,
                 std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                 std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                 std::vector<float>, std::vector<bool>, std::vector<std::string>,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using GgufMetadata = std::vector<std::pair<std::string, GgufValue>>;

/// Takes the next bytes of a tensor, in pieces of any size.
using GgufSink = std::function<Status(std::span<const std::byte> piece)>;
/// Gives all bytes of a tensor to the sink, in order, and stops at its first error.
using GgufProducer = std::function<Status(const GgufSink& sink)>;

/// A tensor to write; `shape` is row-major. REQUIRES: `data` is, or produces, exactly the bytes
/// that type and shape need.
struct GgufTensorToWrite {
  std::string name;
  GgmlType type;
  std::vector<std::int64_t> shape;
  std::variant<std::span<const std::byte>, GgufProducer> data;
};

/// Writes version 3, aligned to 32 bytes, everything in the given order; the same input gives the
/// same bytes. Atomic: a temporary file in the same directory, flushed to disk, then renamed.
/// Producers run one after the other while the file is written. Errors: kIo (a full disk included),
/// kNotFound (no such directory), kInvalidArgument (a key or name that is malformed or given twice,
/// a string that is not UTF-8, a shape that the type or the format cannot have), kTooLong (more
/// than the reader takes), and what a producer returns; the old file, if any, is untouched then.
Status write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                  std::span<const GgufTensorToWrite> tensors);

}  // namespace qwen3guard::bytes
