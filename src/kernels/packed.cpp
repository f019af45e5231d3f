#include "kernels/packed.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/widen.h"

namespace qwen3guard::kernels {
namespace {

struct Place {
  std::size_t tile, lane;
};
Place place(std::size_t row) { return {row / kTileRows, row % kTileRows}; }

constexpr std::size_t kGroupBytes = kTileRows * 4;

}  // namespace

void pack_row(const PackedMatrix& matrix, std::size_t row, const Q8Block* blocks,
              std::uint8_t* values, std::uint16_t* scales) {
  const auto [tile, lane] = place(row);
  for (std::size_t b = 0; b < matrix.blocks(); ++b) {
    const std::size_t block = tile * matrix.blocks() + b;
    scales[block * kTileRows + lane] = blocks[b].scale;
    std::uint8_t* out = values + block * matrix.block_bytes() + lane * 4;
    for (std::size_t g = 0; g < kBlockColumns / 4; ++g)
      std::memcpy(out + g * kGroupBytes, blocks[b].values + 4 * g, 4);
  }
}

void pack_row(const PackedMatrix& matrix, std::size_t row, const Q4Block* blocks,
              std::uint8_t* values, std::uint16_t* scales) {
  constexpr std::uint32_t kLow = 0x0f0f0f0f;
  const auto [tile, lane] = place(row);
  for (std::size_t b = 0; b < matrix.blocks(); ++b) {
    const std::size_t block = tile * matrix.blocks() + b;
    scales[block * kTileRows + lane] = blocks[b].scale;
    std::uint8_t* out = values + block * matrix.block_bytes() + lane * 4;
    // Columns 4g … 4g + 3 are the low halves of word g, columns 16 + 4g … its high halves.
    std::uint32_t words[4];
    std::memcpy(words, blocks[b].values, sizeof(words));
    const std::uint32_t packed[4] = {
        (words[0] & kLow) | (words[1] & kLow) << 4, (words[2] & kLow) | (words[3] & kLow) << 4,
        (words[0] >> 4 & kLow) | (words[1] & ~kLow), (words[2] >> 4 & kLow) | (words[3] & ~kLow)};
    for (std::size_t i = 0; i < 4; ++i) std::memcpy(out + i * kGroupBytes, &packed[i], 4);
  }
}

bool quantize_weights(const PackedMatrix& matrix, std::size_t row, const float* weights,
                      std::uint8_t* values, std::uint16_t* scales) {
  std::vector<Q8Block> q8;
  std::vector<Q4Block> q4;
  for (std::size_t b = 0; b < matrix.blocks(); ++b) {
    const float* x = weights + b * kBlockColumns;
    float extreme = 0.0f;  // of the largest magnitude, with its sign
    for (std::size_t c = 0; c < kBlockColumns; ++c) {
      if (!std::isfinite(x[c])) return false;
      if (std::abs(x[c]) > std::abs(extreme)) extreme = x[c];
    }
    const float scale =
        matrix.type == PackedType::kQ8 ? std::abs(extreme) / 127.0f : extreme / -8.0f;
    const std::uint16_t half = narrow_f16(scale);
    if (!std::isfinite(widen_f16(half))) return false;
    // A scale that a half float cannot hold stands for zeros.
    const float inverse = widen_f16(half) != 0.0f ? 1.0f / scale : 0.0f;
    if (matrix.type == PackedType::kQ8) {
      Q8Block& block = q8.emplace_back(Q8Block{half, {}});
      for (std::size_t c = 0; c < kBlockColumns; ++c)
        block.values[c] = static_cast<std::int8_t>(std::round(x[c] * inverse));
    } else {
      Q4Block& block = q4.emplace_back(Q4Block{half, {}});
      const auto nibble = [&](std::size_t c) {
        return static_cast<unsigned>(std::min(15.0f, std::trunc(x[c] * inverse + 8.5f)));
      };
      for (std::size_t c = 0; c < 16; ++c)
        block.values[c] = static_cast<std::uint8_t>(nibble(c) | nibble(c + 16) << 4);
    }
  }
  if (matrix.type == PackedType::kQ8) {
    pack_row(matrix, row, q8.data(), values, scales);
  } else {
    pack_row(matrix, row, q4.data(), values, scales);
  }
  return true;
}

void unpack_row(const PackedMatrix& matrix, std::size_t row, float* out) {
  const auto [tile, lane] = place(row);
  for (std::size_t b = 0; b < matrix.blocks(); ++b) {
    const float scale = widen_f16(matrix.tile_scales(tile)[b * kTileRows + lane]);
    const std::uint8_t* values = matrix.tile(tile) + b * matrix.block_bytes();
    for (std::size_t c = 0; c < kBlockColumns; ++c)
      out[b * kBlockColumns + c] =
          scale * static_cast<float>(packed_value(matrix, values, c, lane));
  }
}

}  // namespace qwen3guard::kernels
