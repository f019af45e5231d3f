// What a GGUF file says before its tensors' bytes (private to bytes/).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "bytes/gguf.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::uint32_t kGgufArrayType = 9;
inline constexpr std::size_t kMaxGgufRank = 4;
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr std::uint64_t kGgufDefaultAlignment = 32;
/// Far above any published model; they bound the memory that a hostile file can claim.
inline constexpr std::uint64_t kMaxGgufEntries = 100'000;
inline constexpr std::uint64_t kMaxGgufTensors = 100'000;
inline constexpr std::uint64_t kMaxGgufElements = 10'000'000;
/// The format's limit on keys; we hold names of tensors to it too.
inline constexpr std::uint64_t kMaxGgufName = 65'535;
/// What ggml's own reader takes; we write no longer ones.
inline constexpr std::uint64_t kMaxGgufTensorName = 63;

struct GgufTensorInfo {
  std::string_view name;
  GgmlType type = GgmlType::kF32;
  std::array<std::int64_t, kMaxGgufRank> shape{};  // row-major
  std::size_t rank = 0;
  std::uint64_t offset = 0;  // from the start of the data
  std::uint64_t bytes = 0;
};

struct GgufHeader {
  std::uint32_t version = 0;
  std::vector<GgufEntry> metadata;
  std::vector<GgufTensorInfo> tensors;
  std::uint64_t end = 0;  // where it ends in the file; the data start at the next alignment
};

/// Reads up to the end of the tensors' descriptions. Duplicates and offsets are the caller's.
Result<GgufHeader> parse_gguf_header(std::span<const std::byte> bytes);

std::optional<GgufType> gguf_type_of(std::uint32_t number);
/// Bytes of an element; of a string those of its length.
std::size_t gguf_type_size(GgufType type);

/// What is wrong with a key, or nothing: printable ASCII without spaces, of 1 to 65,535 bytes.
std::optional<std::string_view> bad_gguf_key(std::string_view key);

/// Bytes of a tensor of this row-major shape, or nothing if no 63-bit number can hold its elements
/// or its bytes. REQUIRES: rank at least 1, whole blocks, no negative dimension.
std::optional<std::uint64_t> gguf_tensor_bytes(GgmlType type, std::span<const std::int64_t> shape);

template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;

inline std::uint64_t gguf_padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace qwen3guard::bytes
