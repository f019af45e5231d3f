// How close each kernel comes to what the processor can do.
//   build/bench/kernels_bench [threads]
// Prints, for the shapes of Qwen3-0.6B: billions of multiply-adds a second of the packed products
// at 8 and 4 bits for one token, a few and many, beside the peak of the integer unit (products of
// registers alone, same run), and the bytes of weights read a second beside a plain read of memory.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/thread_pool.h"
#include "kernels/kernels.h"

namespace {

using namespace qwen3guard;
using Clock = std::chrono::steady_clock;

constexpr int kRepeats = 9;

// Seconds of one call: the best of kRepeats, each at least 50 ms of calls.
template <typename Body>
double seconds(Body&& body) {
  double best = 1e9;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    int calls = 0;
    const auto start = Clock::now();
    double elapsed = 0;
    do {
      body();
      ++calls;
      elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    } while (elapsed < 0.05);
    best = std::min(best, elapsed / calls);
  }
  return best;
}

// Multiply-adds a second of integer products on registers alone; 0 where this file has no loop for
// the processor.
#if defined(__x86_64__)
__attribute__((target("avx512f,avx512vnni"))) double vnni_peak(base::ThreadPool& pool) {
  if (!__builtin_cpu_supports("avx512vnni")) return 0;
  constexpr int kLoops = 2000000, kChains = 12;
  const auto threads = static_cast<std::size_t>(pool.threads());
  const double time = seconds([&] {
    pool.parallel_for(
        threads, 1, [](std::size_t, std::size_t) __attribute__((target("avx512f,avx512vnni"))) {
          __m512i sums[kChains];
          for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_epi32(c);
          const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2);
          for (int i = 0; i < kLoops / kChains; ++i) {
            for (int c = 0; c < kChains; ++c) {
              sums[c] = _mm512_dpbusd_epi32(sums[c], a, b);
              asm volatile("" : "+v"(sums[c]));
            }
          }
        });
  });
  return 64.0 * (kLoops / kChains * kChains) * static_cast<double>(threads) / time;
}
#else
double vnni_peak(base::ThreadPool&) { return 0; }
#endif

double read_bandwidth(base::ThreadPool& pool) {
  std::vector<std::uint64_t> memory(std::size_t{64} << 20, 1);  // 512 MB
  const auto threads = static_cast<std::size_t>(pool.threads());
  std::vector<std::uint64_t> sums(threads * 8);
  const double time = seconds([&] {
    pool.parallel_for(threads, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t part = begin; part < end; ++part) {
        const std::size_t size = memory.size() / threads;
        const std::uint64_t* p = memory.data() + part * size;
        std::uint64_t s[8] = {};
        for (std::size_t i = 0; i + 8 <= size; i += 8) {
          for (std::size_t k = 0; k < 8; ++k) s[k] += p[i + k];
        }
        for (std::size_t k = 0; k < 8; ++k) sums[part * 8] += s[k];
      }
    });
  });
  return static_cast<double>(memory.size() * 8) / time;
}

struct Packed {
  std::vector<std::uint8_t> values;
  std::vector<std::uint16_t> scales;
  kernels::PackedMatrix matrix;

  Packed(kernels::PackedType type, std::size_t rows, std::size_t columns) {
    matrix = {type, rows, columns, nullptr, nullptr};
    values.resize(matrix.value_bytes());
    scales.assign(matrix.scale_count(), 0x2000);
    std::mt19937 generator(1);
    for (auto& v : values) v = static_cast<std::uint8_t>(generator());
    matrix.values = values.data();
    matrix.scales = scales.data();
  }
};

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2;
  base::ThreadPool pool(threads);
  const kernels::Kernels& k = kernels::active_kernels();
  const double peak = vnni_peak(pool), bandwidth = read_bandwidth(pool);
  std::printf("isa %s, threads %d; integer peak %.0f G multiply-adds/s, memory read %.1f GB/s\n",
              k.name, threads, peak / 1e9, bandwidth / 1e9);
  std::printf("%-4s %6s %8s %8s %10s %12s %8s %12s\n", "bits", "rows", "columns", "tokens", "us",
              "G mul-add/s", "of peak", "GB/s weights");
  // Several copies, together far larger than the caches, taken in turn: weights come from memory,
  // as they do in a model.
  constexpr std::size_t kRows = 3072, kColumns = 1024, kCopies = 64;
  for (const auto type : {kernels::PackedType::kQ8, kernels::PackedType::kQ4}) {
    std::vector<Packed> copies(kCopies, Packed(type, kRows, kColumns));
    for (Packed& copy : copies) {
      copy.matrix.values = copy.values.data();
      copy.matrix.scales = copy.scales.data();
    }
    for (const std::size_t tokens : {1u, 2u, 4u, 8u, 16u, 32u, 128u, 512u}) {
      std::vector<float> x(tokens * kColumns), scales(x.size() / 32), out(tokens * kRows);
      std::vector<std::int8_t> values(x.size());
      std::vector<std::int32_t> bias_q8(scales.size()), bias_q4(scales.size());
      std::mt19937 generator(2);
      std::normal_distribution<float> normal;
      for (float& v : x) v = normal(generator);
      const std::size_t blocks = kColumns / 32;
      for (std::size_t t = 0; t < tokens; ++t) {
        k.quantize(&x[t * kColumns], kColumns, &values[t * kColumns], &scales[t * blocks],
                   &bias_q8[t * blocks], &bias_q4[t * blocks]);
      }
      const kernels::QuantizedRows rows = {values.data(), scales.data(), bias_q8.data(),
                                           bias_q4.data(), kColumns};
      std::size_t turn = 0;
      const double time = seconds([&] {
        const kernels::PackedMatrix& matrix = copies[turn++ % kCopies].matrix;
        pool.parallel_for(matrix.tiles(), 4, [&](std::size_t begin, std::size_t end) {
          k.matmul_packed(matrix, begin, end, rows, tokens, out.data(), kRows);
        });
      });
      const double products = static_cast<double>(tokens * kRows * kColumns);
      const auto& matrix = copies[0].matrix;
      const auto bytes = static_cast<double>(matrix.value_bytes() + 2 * matrix.scale_count());
      std::printf("%-4s %6zu %8zu %8zu %10.1f %12.1f %7.0f%% %12.1f\n",
                  type == kernels::PackedType::kQ8 ? "8" : "4", kRows, kColumns, tokens, time * 1e6,
                  products / time / 1e9, peak > 0 ? 100 * products / time / peak : 0.0,
                  bytes / time / 1e9);
    }
  }
  return 0;
}
