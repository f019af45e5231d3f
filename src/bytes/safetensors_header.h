// The JSON header of a safetensors file (private to bytes/).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bytes/safetensors.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// The format's own limit on the header.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
/// Far above any published checkpoint; they bound the memory that a hostile header can claim.
inline constexpr std::size_t kMaxTensors = 1'000'000;
inline constexpr std::size_t kMaxRank = 32;
inline constexpr std::string_view kMetadataKey = "__metadata__";

struct HeaderEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape{};
  std::uint64_t begin = 0;  // data_offsets: from the end of the header
  std::uint64_t end = 0;
};

struct Header {
  std::vector<HeaderEntry> tensors;
  std::map<std::string, std::string> metadata;
};

/// Parses the text of the header: every tensor has exactly the known fields, with values of their
/// types; duplicate fields and metadata keys are refused. Duplicate tensors, sizes and offsets are
/// the caller's.
Result<Header> parse_header(std::string_view text);

}  // namespace qwen3guard::bytes
