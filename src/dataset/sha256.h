// SHA-256: the hash that fixes which rows are held out, so that anybody can recompute the choice.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace qwen3guard::dataset {

using Sha256Digest = std::array<std::uint8_t, 32>;

Sha256Digest sha256(std::string_view bytes);
std::string to_hex(const Sha256Digest& digest);
/// The digest, read as one big-endian number, modulo `modulus`. REQUIRES: modulus > 0.
std::uint32_t modulo(const Sha256Digest& digest, std::uint32_t modulus);

}  // namespace qwen3guard::dataset
