// Whole-file reads and atomic whole-file writes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// Errors: kNotFound, kIo, kTooLong (larger than `max_bytes`).
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);
/// Temporary file in the same directory, fsync, rename. Errors: kIo; the old file is untouched then.
Status write_file_atomically(const std::filesystem::path& path, std::string_view contents);

}  // namespace qwen3guard::bytes
