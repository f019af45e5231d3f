// AMX: the AVX-512 VNNI table with tile products for 16 tokens at a time. Compiled with those flags
// for this file only; runs only where the CPU has them and the kernel lends the tile registers.

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {
namespace {

constexpr std::size_t kTokens = 16;
constexpr std::size_t kBlockBytes = kBlockColumns * kTileRows;  // as signed bytes

// Tile registers: 0 and 1 take sums [16 tokens][16 rows], 2 and 3 activations [16 tokens][32
// columns], 4 and 5 one block of weights [8 groups][16 rows][4 columns].
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 32, 32, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 8, 8};
};

// 4-bit values of a tile as the signed bytes that they stand for, in the layout of kQ8.
void unpack_tile(const std::uint8_t* tile, std::size_t blocks, std::uint8_t* out) {
  const __m512i low = _mm512_set1_epi8(0x0f), eight = _mm512_set1_epi8(8);
  for (std::size_t i = 0; i < blocks * kBlockBytes / 128; ++i) {
    prefetch_block(tile + 64 * i, 64);
    const __m512i both = _mm512_loadu_si512(tile + 64 * i);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
    _mm512_storeu_si512(out + 128 * i, _mm512_sub_epi8(_mm512_and_si512(both, low), eight));
    _mm512_storeu_si512(out + 128 * i + 64, _mm512_sub_epi8(odd, eight));
  }
}

// Adds one block's integer sums, scaled, to those of 16 tokens, whose scales lie side by side: one
// pointer serves all of them.
inline void add_block(const std::int32_t* products, __m512 scale, const float* x_scales,
                      __m512* sums) {
  for (std::size_t t = 0; t < kTokens; ++t) {
    const __m512 product = _mm512_cvtepi32_ps(_mm512_load_si512(products + t * kTileRows));
    sums[t] = _mm512_fmadd_ps(_mm512_mul_ps(product, scale), _mm512_set1_ps(x_scales[t]), sums[t]);
  }
}

// The scales of whole groups of 16 tokens, as [group][block][token].
const float* scales_by_block(const QuantizedRows& x, std::size_t tokens, std::size_t blocks) {
  thread_local std::vector<float> turned;
  turned.resize(tokens * blocks);
  for (std::size_t t = 0; t < tokens; ++t) {
    float* group = turned.data() + t / kTokens * kTokens * blocks + t % kTokens;
    for (std::size_t b = 0; b < blocks; ++b) group[b * kTokens] = x.scales[t * blocks + b];
  }
  return turned.data();
}

inline __m512 load_scale(const std::uint16_t* scales) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)));
}

// Integer products of one block in tile register 0 or 1. (The intrinsics want literal numbers.)
template <int sum>
inline void multiply_block(const std::uint8_t* tile, const std::int8_t* values, long columns) {
  if constexpr (sum == 0) {
    _tile_zero(0);
    _tile_loadd(2, values, columns);
    _tile_loadd(4, tile, 64);
    _tile_dpbssd(0, 2, 4);
  } else {
    _tile_zero(1);
    _tile_loadd(3, values, columns);
    _tile_loadd(5, tile, 64);
    _tile_dpbssd(1, 3, 5);
  }
}

// One tile of weights, as signed bytes, times 16 tokens. A product takes some fifty cycles until it
// can be read: the next two blocks are multiplied before the last two are scaled, and stored after,
// so that no instruction waits for the one before it. `from_memory`: the tile has not been read
// yet.
void tile_times_tokens(const std::uint8_t* tile, const std::uint16_t* scales, std::size_t blocks,
                       const QuantizedRows& x, const float* x_scales, std::size_t first,
                       bool from_memory, __mmask16 rows, float* out, std::size_t out_stride) {
  alignas(64) std::int32_t products[2][2][kTokens * kTileRows];
  const std::int8_t* values = x.values + first * x.columns;
  __m512 sums[kTokens];
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  const auto multiply_pair = [&](std::size_t b) {
    if (from_memory) prefetch_block(tile + b * kBlockBytes, 2 * kBlockBytes);
    const auto columns = static_cast<long>(x.columns);
    multiply_block<0>(tile + b * kBlockBytes, values + b * kBlockColumns, columns);
    if (b + 1 < blocks) {
      multiply_block<1>(tile + (b + 1) * kBlockBytes, values + (b + 1) * kBlockColumns, columns);
    }
  };
  const auto store_pair = [&](std::size_t b) {
    _tile_stored(0, products[b / 2 % 2][0], 64);
    if (b + 1 < blocks) _tile_stored(1, products[b / 2 % 2][1], 64);
  };
  multiply_pair(0);
  store_pair(0);
  for (std::size_t b = 0; b < blocks; b += 2) {
    const bool more = b + 2 < blocks;
    if (more) multiply_pair(b + 2);
    const auto& ready = products[b / 2 % 2];
    add_block(ready[0], load_scale(scales + b * kTileRows), x_scales + b * kTokens, sums);
    if (b + 1 < blocks) {
      add_block(ready[1], load_scale(scales + (b + 1) * kTileRows), x_scales + (b + 1) * kTokens,
                sums);
    }
    if (more) store_pair(b + 2);
  }
  for (std::size_t t = 0; t < kTokens; ++t)
    _mm512_mask_storeu_ps(out + (first + t) * out_stride, rows, sums[t]);
}

void matmul_packed(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                   const QuantizedRows& x, std::size_t tokens, float* out, std::size_t out_stride) {
  const std::size_t whole = tokens - tokens % kTokens;
  if (whole > 0) {
    const std::size_t blocks = weights.blocks();
    const float* x_scales = scales_by_block(x, whole, blocks);
    thread_local std::vector<std::uint8_t> unpacked;
    if (weights.type == PackedType::kQ4) unpacked.resize(blocks * kBlockBytes);
    // Not on the stack: the intrinsic does not tell every compiler that it reads all 64 bytes.
    static constexpr TileShapes kShapes{};
    _tile_loadconfig(&kShapes);
    for (std::size_t tile = tile_begin; tile < tile_end; ++tile) {
      const std::size_t row = tile * kTileRows;
      const auto rows = static_cast<__mmask16>((1u << std::min(kTileRows, weights.rows - row)) - 1);
      const std::uint8_t* values = weights.tile(tile);
      if (weights.type == PackedType::kQ4) {
        unpack_tile(values, blocks, unpacked.data());
        asm volatile("" ::: "memory");  // nor that tile loads read memory
        values = unpacked.data();
      }
      for (std::size_t t = 0; t < whole; t += kTokens) {
        tile_times_tokens(values, weights.tile_scales(tile), blocks, x, x_scales + t * blocks, t,
                          t == 0 && weights.type == PackedType::kQ8, rows, out + row, out_stride);
      }
    }
    _tile_release();
  }
  if (whole < tokens) {
    const std::size_t blocks = weights.blocks();
    const QuantizedRows rest = {x.values + whole * x.columns, x.scales + whole * blocks,
                                x.bias_q8 + whole * blocks, x.bias_q4 + whole * blocks, x.columns};
    avx512vnni_kernels()->matmul_packed(weights, tile_begin, tile_end, rest, tokens - whole,
                                        out + whole * out_stride, out_stride);
  }
}

// The CPU's word, then the kernel's: it lends tile registers to a process that asks.
bool runs_here() {
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kTile) == 0 || (d & kInt8) == 0)
    return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const Kernels* amx_kernels() {
  if (avx512vnni_kernels() == nullptr) return nullptr;
  static const bool runs = runs_here();
  static const Kernels table = [] {
    Kernels kernels = *avx512vnni_kernels();
    kernels.name = "amx";
    kernels.matmul_packed = matmul_packed;
    return kernels;
  }();
  return runs ? &table : nullptr;
}

}  // namespace qwen3guard::kernels
