// Untrusted bytes made fit for an error message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace qwen3guard::bytes {

/// `text` in single quotes, as valid UTF-8 on one line: control characters and bytes that are not
/// UTF-8 become \xNN, and what is longer than about `max_bytes` is cut and marked with "…".
std::string quote(std::string_view text, std::size_t max_bytes = 200);
/// The same for a path, with room for a long one.
std::string quote_path(const std::filesystem::path& path);

/// `count` with a thousands separator and its unit: "1,234 bytes".
std::string byte_count(std::uint64_t count);

}  // namespace qwen3guard::bytes
