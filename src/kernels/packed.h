// Quantized weights and activations: 8 or 4 bits a weight, 8 bits an activation, products added in
// integers within a block of 32 columns.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace qwen3guard::kernels {

inline constexpr std::size_t kBlockColumns = 32;
inline constexpr std::size_t kTileRows = 16;

enum class PackedType { kQ8, kQ4 };

/// Weights [rows, columns], columns a multiple of 32, in tiles of 16 rows (the last one padded with
/// zeros). A tile holds its blocks of 32 columns one after the other; a block is eight groups of
/// four columns, [group][row][4]: one 64-byte vector a group, four products a lane.
///
///   kQ8: signed bytes; a block of a tile takes 512 bytes.
///   kQ4: values 0 … 15 that stand for -8 … 7; byte [i][row][c] of a block holds group 2i in its
///   low
///        and group 2i + 1 in its high half; 256 bytes.
///
/// weight = scale * value; scales are half floats [tile][block][row].
struct PackedMatrix {
  PackedType type = PackedType::kQ8;
  std::size_t rows = 0;
  std::size_t columns = 0;
  const std::uint8_t* values = nullptr;
  const std::uint16_t* scales = nullptr;

  std::size_t tiles() const { return (rows + kTileRows - 1) / kTileRows; }
  std::size_t blocks() const { return columns / kBlockColumns; }
  std::size_t block_bytes() const { return type == PackedType::kQ8 ? 512 : 256; }
  const std::uint8_t* tile(std::size_t t) const { return values + t * blocks() * block_bytes(); }
  const std::uint16_t* tile_scales(std::size_t t) const {
    return scales + t * blocks() * kTileRows;
  }
  std::size_t value_bytes() const { return tiles() * blocks() * block_bytes(); }
  std::size_t scale_count() const { return tiles() * blocks() * kTileRows; }
};

/// Puts row `row` where `matrix` expects it. `blocks` is the row as GGUF's Q8_0 or Q4_0 has it,
/// whichever matrix.type means; `values` and `scales` are the memory that the matrix views. False,
/// with nothing written, when a scale is not finite.
bool pack_row(const PackedMatrix& matrix, std::size_t row, std::span<const std::byte> blocks,
              std::uint8_t* values, std::uint16_t* scales);

/// The integer at column `c` of row `lane` in one block of a tile.
inline int packed_value(const PackedMatrix& matrix, const std::uint8_t* block, std::size_t c,
                        std::size_t lane) {
  constexpr std::size_t kGroup = kTileRows * 4;
  if (matrix.type == PackedType::kQ8)
    return static_cast<std::int8_t>(block[c / 4 * kGroup + lane * 4 + c % 4]);
  const std::uint8_t both = block[c / 8 * kGroup + lane * 4 + c % 4];
  return (c % 8 < 4 ? both & 15 : both >> 4) - 8;
}

/// The weights of one row, widened. For tests and for rows that are read alone.
void unpack_row(const PackedMatrix& matrix, std::size_t row, float* out);

/// Asks for the block of a tile that is read a little later. Weights come from memory once a pass,
/// and the processor's own prefetcher stops at every page.
inline void prefetch_block(const std::uint8_t* block, std::size_t bytes) {
  constexpr std::size_t kAhead = 4096, kLine = 64;
  for (std::size_t i = 0; i < bytes; i += kLine) __builtin_prefetch(block + kAhead + i);
}

/// Four neighbouring activations as one lane.
inline std::int32_t load_four(const std::int8_t* values) {
  std::int32_t four;
  std::memcpy(&four, values, sizeof(four));
  return four;
}

/// 127 / largest; 0 for a block that is all zeros or too small for that quotient, and for one with
/// NaN or infinity, whose scale is not finite.
inline float inverse_scale(float largest) {
  const float inverse = 127.0f / largest;
  return std::isfinite(largest) && std::isfinite(inverse) ? inverse : 0.0f;
}

/// Activations [tokens, columns]: x = scale * value, one scale for each block of 32 columns.
struct QuantizedRows {
  const std::int8_t* values = nullptr;
  const float* scales = nullptr;          // [tokens, columns / 32]
  const std::int32_t* bias_q8 = nullptr;  // -128 * sum of the block's values
  const std::int32_t* bias_q4 = nullptr;  // -8 * sum of the block's values
  std::size_t columns = 0;
};

}  // namespace qwen3guard::kernels
