// Strict JSON from untrusted bytes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

struct JsonLimits {
  std::size_t max_bytes = 64u << 20;
  std::size_t max_depth = 64;
  /// Values of any kind. A parsed value takes about 50 bytes where its text may take two: this, not
  /// `max_bytes`, bounds the memory that hostile text can claim.
  std::size_t max_values = 4u << 20;
};

/// Parses one JSON value. Errors (kInvalidJson, kInvalidUtf8, kTooLong): position, duplicate keys,
/// nesting deeper than the limit, trailing bytes. Never throws.
Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits& limits = {});
/// Reads and parses a file; errors name it.
Result<nlohmann::json> read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace qwen3guard::bytes
