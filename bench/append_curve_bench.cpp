// Cost of one more token after n tokens: flat apart from attention, whatever was appended before.
//   build/bench/append_curve_bench MODEL_DIR [threads]
// Prints one line for each depth: median milliseconds of one appended token and of a 16-token chunk
// (per token), and the first as a multiple of its value at depth 32.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/thread_pool.h"
#include "model/model.h"

namespace {

using namespace qwen3guard;
using Clock = std::chrono::steady_clock;

double median_ms(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: append_curve MODEL_DIR [threads]\n");
    return 2;
  }
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  const auto loaded = model::Model::load(argv[1]);
  if (!loaded.ok()) {
    std::fprintf(stderr, "error: %s\n", loaded.error().message.c_str());
    return 2;
  }
  const model::Model& model = **loaded;
  const model::ModelConfig& config = model.config();
  base::ThreadPool pool(std::max(1, threads));
  model::Workspace workspace;
  model::KvCache cache = model.new_cache();
  std::vector<float> states;
  std::int32_t next = 0;
  const auto append = [&](std::size_t count) {
    std::vector<std::int32_t> ids(count);
    for (std::int32_t& id : ids)
      id = next = (next * 31 + 7) % static_cast<std::int32_t>(config.vocabulary_size);
    states.resize(count * config.hidden_size);
    const auto start = Clock::now();
    const Status status = model.forward(ids, cache, workspace, pool, states);
    if (!status.ok()) {
      std::fprintf(stderr, "error: %s\n", status.error().message.c_str());
      std::exit(2);
    }
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  };

  std::printf("isa %s, threads %d, layers %zu, hidden %zu\n", kernels::active_kernels().name,
              pool.threads(), config.layers, config.hidden_size);
  std::printf("%8s %14s %20s %10s\n", "depth", "1 token, ms", "16 tokens, ms/token", "vs 32");
  double first = 0;
  for (std::size_t depth = 32; depth <= 4096 && depth + 16 <= config.max_positions; depth *= 2) {
    append(depth - cache.size());
    std::vector<double> one, chunk;
    for (int repeat = 0; repeat < 15; ++repeat) {
      one.push_back(append(1));
      cache.truncate(depth);
      chunk.push_back(append(16) / 16);
      cache.truncate(depth);
    }
    const double ms = median_ms(one);
    if (first == 0) first = ms;
    std::printf("%8zu %14.3f %20.3f %9.2fx\n", depth, ms, median_ms(chunk), ms / first);
  }
  return 0;
}
