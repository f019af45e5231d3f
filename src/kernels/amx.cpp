// AMX: the AVX-512 VNNI table with tile products for up to 16 tokens at a time. Compiled with those
// flags for this file only; runs only where the CPU has them and the kernel lends the tile
// registers.

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {
namespace {

constexpr std::size_t kTokens = 16;
constexpr std::size_t kBlockBytes = kBlockColumns * kTileRows;  // as signed bytes

// Tile registers: 0 to 3 take sums [tokens][16 rows], 4 and 5 activations [tokens][32 columns], 6
// and 7 one block of weights [8 groups][16 rows][4 columns].
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 32, 32, 64, 64};
  std::uint8_t rows[16] = {};

  explicit TileShapes(std::size_t tokens) {
    std::fill_n(rows, 6, static_cast<std::uint8_t>(tokens));
    std::fill_n(rows + 6, 2, static_cast<std::uint8_t>(kBlockColumns / 4));
  }
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

// The scales of groups of 16 tokens, as [group][block][token]; zero for tokens past the last.
const float* scales_by_block(const QuantizedRows& x, std::size_t tokens, std::size_t blocks) {
  thread_local std::vector<float> turned;
  turned.assign((tokens + kTokens - 1) / kTokens * kTokens * blocks, 0.0f);
  for (std::size_t t = 0; t < tokens; ++t) {
    float* group = turned.data() + t / kTokens * kTokens * blocks + t % kTokens;
    for (std::size_t b = 0; b < blocks; ++b) group[b * kTokens] = x.scales[t * blocks + b];
  }
  return turned.data();
}

inline __m512 load_scale(const std::uint16_t* scales) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)));
}

// One tile of weights, as signed bytes, and a group of tokens. `from_memory`: the tile has not been
// read yet.
struct Product {
  const std::uint8_t* tile;
  const std::uint16_t* scales;
  std::size_t blocks;
  const std::int8_t* values;
  long columns;
  const float* x_scales;
  bool from_memory;
};

// What a block's product takes, for each of the four tile registers of sums. (The intrinsics want
// literal numbers.)
template <int sum>
[[gnu::always_inline]] inline void load_values(const Product& p, std::size_t block) {
  const std::int8_t* values = p.values + block * kBlockColumns;
  if constexpr (sum % 2 == 0) _tile_loadd(4, values, p.columns);
  if constexpr (sum % 2 == 1) _tile_loadd(5, values, p.columns);
}
template <int sum>
[[gnu::always_inline]] inline void load_weights(const Product& p, std::size_t block) {
  const std::uint8_t* weights = p.tile + block * kBlockBytes;
  if constexpr (sum % 2 == 0) _tile_loadd(6, weights, 64);
  if constexpr (sum % 2 == 1) _tile_loadd(7, weights, 64);
}
template <int sum>
[[gnu::always_inline]] inline void multiply() {
  if constexpr (sum == 0) {
    _tile_zero(0);
    _tile_dpbssd(0, 4, 6);
  } else if constexpr (sum == 1) {
    _tile_zero(1);
    _tile_dpbssd(1, 5, 7);
  } else if constexpr (sum == 2) {
    _tile_zero(2);
    _tile_dpbssd(2, 4, 6);
  } else {
    _tile_zero(3);
    _tile_dpbssd(3, 5, 7);
  }
}
template <int sum>
[[gnu::always_inline]] inline void begin(const Product& p, std::size_t block) {
  load_values<sum>(p, block);
  load_weights<sum>(p, block);
  multiply<sum>();
}
template <int sum>
[[gnu::always_inline]] inline void store(std::int32_t (*products)[kTokens * kTileRows]) {
  if constexpr (sum == 0) _tile_stored(0, products[0], 64);
  if constexpr (sum == 1) _tile_stored(1, products[1], 64);
  if constexpr (sum == 2) _tile_stored(2, products[2], 64);
  if constexpr (sum == 3) _tile_stored(3, products[3], 64);
}

// Adds one block's integer sums, scaled, to those of tokens `from` to `to`, whose scales lie side
// by side: one pointer serves all of them.
template <int from, int to>
[[gnu::always_inline]] inline void add_block(const std::int32_t* products, __m512 scale,
                                             const float* x_scales, __m512* sums) {
#pragma GCC unroll 16
  for (int t = from; t < to; ++t) {
    const __m512 product =
        _mm512_cvtepi32_ps(_mm512_load_si512(products + t * static_cast<int>(kTileRows)));
    sums[t] = _mm512_fmadd_ps(_mm512_mul_ps(product, scale), _mm512_set1_ps(x_scales[t]), sums[t]);
  }
}

// Scales the product of `block`, stores that of the next but one, and begins (`ahead`) that of the
// fourth next: a product takes some fifty cycles until it can be read. Tile instructions stand
// between the others because the processor looks only a few hundred instructions ahead.
template <int tokens, int sum, bool ahead>
[[gnu::always_inline]] inline void finish(const Product& p, std::size_t block,
                                          std::int32_t (*products)[kTokens * kTileRows],
                                          __m512* sums) {
  constexpr int quarter = tokens / 4;
  const __m512 scale = load_scale(p.scales + block * kTileRows);
  const float* x_scales = p.x_scales + block * kTokens;
  if (ahead && p.from_memory) prefetch_block(p.tile + block * kBlockBytes, kBlockBytes);
  add_block<0, quarter>(products[sum], scale, x_scales, sums);
  if constexpr (ahead) load_values<sum>(p, block + 4);
  add_block<quarter, 2 * quarter>(products[sum], scale, x_scales, sums);
  if constexpr (ahead) load_weights<sum>(p, block + 4);
  add_block<2 * quarter, 3 * quarter>(products[sum], scale, x_scales, sums);
  if constexpr (ahead) multiply<sum>();
  if (ahead || block + 2 < p.blocks) store<(sum + 2) % 4>(products);
  add_block<3 * quarter, tokens>(products[sum], scale, x_scales, sums);
}

// The outputs of `count` tokens, at most `tokens`, for one tile of weights.
template <int tokens>
void tile_times_tokens(const Product& p, std::size_t count, __mmask16 rows, float* out,
                       std::size_t out_stride) {
  alignas(64) std::int32_t products[4][kTokens * kTileRows];
  __m512 sums[tokens];
#pragma GCC unroll 16
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  const std::size_t blocks = p.blocks;
  begin<0>(p, 0);
  if (blocks > 1) begin<1>(p, 1);
  if (blocks > 2) begin<2>(p, 2);
  if (blocks > 3) begin<3>(p, 3);
  store<0>(products);
  if (blocks > 1) store<1>(products);
  std::size_t b = 0;
  for (; b + 8 <= blocks; b += 4) {
    finish<tokens, 0, true>(p, b, products, sums);
    finish<tokens, 1, true>(p, b + 1, products, sums);
    finish<tokens, 2, true>(p, b + 2, products, sums);
    finish<tokens, 3, true>(p, b + 3, products, sums);
  }
  const auto last = [&](auto sum) {
    constexpr int i = decltype(sum)::value;
    if (b + i >= blocks) return;
    finish<tokens, i, false>(p, b + i, products, sums);
    if (b + i + 4 < blocks) begin<i>(p, b + i + 4);
  };
  for (; b < blocks; b += 4) {
    last(std::integral_constant<int, 0>());
    last(std::integral_constant<int, 1>());
    last(std::integral_constant<int, 2>());
    last(std::integral_constant<int, 3>());
  }
#pragma GCC unroll 16
  for (std::size_t t = 0; t < tokens; ++t)
    if (t < count) _mm512_mask_storeu_ps(out + t * out_stride, rows, sums[t]);
}

// Tiles that are taken together: a group of tokens stays in the first cache for all of them, and
// the outputs of a token lie side by side.
constexpr std::size_t kTilesTogether = 4;

// Fewer tokens than this are left to vectors, which need not fill a tile register.
std::size_t fewest_tokens(PackedType type) { return type == PackedType::kQ8 ? 5 : 9; }

void matmul_packed(const PackedMatrix& weights, std::size_t tile_begin, std::size_t tile_end,
                   const QuantizedRows& x, std::size_t tokens, float* out, std::size_t out_stride) {
  if (tokens < fewest_tokens(weights.type)) {
    avx512vnni_kernels()->matmul_packed(weights, tile_begin, tile_end, x, tokens, out, out_stride);
    return;
  }
  const std::size_t blocks = weights.blocks();
  const float* x_scales = scales_by_block(x, tokens, blocks);
  const bool unpack = weights.type == PackedType::kQ4;
  thread_local std::vector<std::uint8_t> unpacked;
  if (unpack) unpacked.resize(kTilesTogether * blocks * kBlockBytes);
  // Tile registers are as high as a group: the rows that the last one lacks must be readable.
  const std::size_t whole = tokens - tokens % kTokens;
  thread_local std::vector<std::int8_t> last_group;
  const bool pad = whole > 0 && whole < tokens;
  if (pad) {
    last_group.assign(kTokens * x.columns, 0);
    std::copy_n(x.values + whole * x.columns, (tokens - whole) * x.columns, last_group.data());
  }
  const TileShapes shapes(std::min(tokens, kTokens));
  asm volatile("" ::"r"(&shapes) : "memory");  // compilers do not know that all of it is read
  _tile_loadconfig(&shapes);
  for (std::size_t first = tile_begin; first < tile_end; first += kTilesTogether) {
    const std::size_t end = std::min(first + kTilesTogether, tile_end);
    const auto unpacked_tile = [&](std::size_t tile) {
      return unpacked.data() + (tile - first) * blocks * kBlockBytes;
    };
    for (std::size_t tile = first; unpack && tile < end; ++tile)
      unpack_tile(weights.tile(tile), blocks, unpacked_tile(tile));
    asm volatile("" ::: "memory");  // nor that tile loads read memory
    for (std::size_t t = 0; t < tokens; t += kTokens) {
      for (std::size_t tile = first; tile < end; ++tile) {
        const std::size_t row = tile * kTileRows;
        const auto rows =
            static_cast<__mmask16>((1u << std::min(kTileRows, weights.rows - row)) - 1);
        const Product product = {unpack ? unpacked_tile(tile) : weights.tile(tile),
                                 weights.tile_scales(tile),
                                 blocks,
                                 pad && t == whole ? last_group.data() : x.values + t * x.columns,
                                 static_cast<long>(x.columns),
                                 x_scales + t * blocks,
                                 t == 0 && !unpack};
        const std::size_t count = std::min(kTokens, tokens - t);
        float* to = out + t * out_stride + row;
        if (count > 12) {
          tile_times_tokens<16>(product, count, rows, to, out_stride);
        } else if (count > 8) {
          tile_times_tokens<12>(product, count, rows, to, out_stride);
        } else {
          tile_times_tokens<8>(product, count, rows, to, out_stride);
        }
      }
    }
  }
  _tile_release();
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
