// What people hand over by mistake, told by its first bytes (private to bytes/).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// kUnsupported if `bytes` start like another format than `expected`, "safetensors" or "GGUF".
std::optional<Error> other_format(std::span<const std::byte> bytes, std::string_view expected);

}  // namespace qwen3guard::bytes
