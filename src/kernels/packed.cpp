#include "kernels/packed.h"

#include <cstring>

#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

struct Place {
  std::size_t tile, lane;
};
Place place(std::size_t row) { return {row / kTileRows, row % kTileRows}; }

constexpr std::size_t kGroupBytes = kTileRows * 4;
constexpr std::size_t kScaleBytes = 2;
constexpr std::uint16_t kHalfExponent = 0x7c00;  // all ones: NaN or infinity

}  // namespace

bool pack_row(const PackedMatrix& matrix, std::size_t row, std::span<const std::byte> blocks,
              std::uint8_t* values, std::uint16_t* scales) {
  const bool q8 = matrix.type == PackedType::kQ8;
  const std::size_t stored_bytes = kScaleBytes + (q8 ? kBlockColumns : kBlockColumns / 2);
  const auto scale_of = [&](std::size_t b) {
    std::uint16_t scale;
    std::memcpy(&scale, blocks.data() + b * stored_bytes, kScaleBytes);
    return scale;
  };
  for (std::size_t b = 0; b < matrix.blocks(); ++b) {
    if ((scale_of(b) & kHalfExponent) == kHalfExponent) return false;
  }
  const auto [tile, lane] = place(row);
  for (std::size_t b = 0; b < matrix.blocks(); ++b) {
    const std::size_t block = tile * matrix.blocks() + b;
    scales[block * kTileRows + lane] = scale_of(b);
    const std::byte* from = blocks.data() + b * stored_bytes + kScaleBytes;
    std::uint8_t* out = values + block * matrix.block_bytes() + lane * 4;
    if (q8) {
      for (std::size_t g = 0; g < kBlockColumns / 4; ++g)
        std::memcpy(out + g * kGroupBytes, from + 4 * g, 4);
      continue;
    }
    // Columns 4g … 4g + 3 are the low halves of word g, columns 16 + 4g … its high halves.
    constexpr std::uint32_t kLow = 0x0f0f0f0f;
    std::uint32_t words[4];
    std::memcpy(words, from, sizeof(words));
    const std::uint32_t packed[4] = {
        (words[0] & kLow) | (words[1] & kLow) << 4, (words[2] & kLow) | (words[3] & kLow) << 4,
        (words[0] >> 4 & kLow) | (words[1] & ~kLow), (words[2] >> 4 & kLow) | (words[3] & ~kLow)};
    for (std::size_t i = 0; i < 4; ++i) std::memcpy(out + i * kGroupBytes, &packed[i], 4);
  }
  return true;
}

void unpack_row(const PackedMatrix& matrix, std::size_t row, float* out) {
  const auto [tile, lane] = place(row);
  for (std::size_t b = 0; b < matrix.blocks(); ++b) {
    const float scale = float_from_f16(matrix.tile_scales(tile)[b * kTileRows + lane]);
    const std::uint8_t* values = matrix.tile(tile) + b * matrix.block_bytes();
    for (std::size_t c = 0; c < kBlockColumns; ++c)
      out[b * kBlockColumns + c] =
          scale * static_cast<float>(packed_value(matrix, values, c, lane));
  }
}

}  // namespace qwen3guard::kernels
