// Our side of the comparison with peers: one command a line on standard input, one line of JSON
// out, so that a driver can alternate both sides in one run.
//   build/bench/engine_bench CHECKPOINT stored|q8|q4 [threads]
// Commands (the peer's own, see bench/peers): "prefill N", "decode DEPTH", "chunks DEPTH SIZE",
// "streams N", "quit". Random ids from a fixed seed.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "model/model.h"

namespace {

using namespace qwen3guard;
using Clock = std::chrono::steady_clock;

class Engine {
 public:
  Engine(const model::Model& model, int threads) : model_(model), pool_(threads) {}

  void read(model::KvCache& cache, std::size_t tokens) {
    std::vector<std::int32_t> ids(tokens);
    for (auto& id : ids) {
      next_ = next_ * 6364136223846793005ull + 1442695040888963407ull;
      id = static_cast<std::int32_t>((next_ >> 33) % model_.config().vocabulary_size);
    }
    states_.resize(tokens * model_.config().hidden_size);
    const Status status = model_.forward(ids, cache, workspace_, pool_, states_);
    if (!status.ok()) {
      std::fprintf(stderr, "error: %s\n", status.error().message.c_str());
      std::exit(2);
    }
  }

  model::KvCache cache_of(std::size_t tokens) {
    model::KvCache cache = model_.new_cache();
    if (tokens > 0) read(cache, tokens);
    return cache;
  }

 private:
  const model::Model& model_;
  base::ThreadPool pool_;
  model::Workspace workspace_;
  std::vector<float> states_;
  std::uint64_t next_ = 1;
};

template <typename Body>
double seconds(Body&& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t peak_kilobytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: engine_bench CHECKPOINT stored|q8|q4 [threads]\n");
    return 2;
  }
  const std::string format = argv[2];
  const int threads = argc > 3 ? std::max(1, std::atoi(argv[3])) : 2;
  const auto start = Clock::now();
  const auto loaded =
      model::Model::load(argv[1], {.weights = format == "q8"   ? WeightFormat::kQ8
                                              : format == "q4" ? WeightFormat::kQ4
                                                               : WeightFormat::kStored});
  if (!loaded.ok()) {
    std::fprintf(stderr, "error: %s\n", loaded.error().message.c_str());
    return 2;
  }
  const model::Model& model = **loaded;
  Engine engine(model, threads);
  std::printf("{\"ready\":true,\"isa\":\"%s\",\"weights\":\"%s\",\"threads\":%d,\"load_s\":%.3f}\n",
              kernels::active_kernels().name, format.c_str(), threads,
              std::chrono::duration<double>(Clock::now() - start).count());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    std::size_t n = 0, size = 0;
    words >> command >> n >> size;
    std::size_t tokens = 0;
    double time = 0;
    if (command == "prefill") {
      model::KvCache cache = model.new_cache();
      tokens = n;
      time = seconds([&] { engine.read(cache, n); });
    } else if (command == "decode" || command == "chunks") {
      const std::size_t chunk = command == "decode" ? 1 : std::max<std::size_t>(1, size);
      model::KvCache cache = engine.cache_of(n);
      engine.read(cache, chunk);
      tokens = 16 * chunk;
      time = seconds([&] {
        for (int i = 0; i < 16; ++i) engine.read(cache, chunk);
      });
    } else if (command == "kept") {  // n tokens kept, size more to read
      model::KvCache cache = engine.cache_of(n);
      tokens = size;
      time = seconds([&] { engine.read(cache, size); });
    } else if (command == "memory") {
      std::printf("{\"command\":\"memory\",\"peak_kb\":%zu}\n", peak_kilobytes());
      std::fflush(stdout);
      continue;
    } else if (command == "quit") {
      break;
    } else {
      std::fprintf(stderr, "error: unknown command \"%s\"\n", line.c_str());
      return 2;
    }
    std::printf("{\"command\":\"%s\",\"tokens\":%zu,\"seconds\":%.6f,\"tokens_s\":%.2f}\n",
                line.c_str(), tokens, time, static_cast<double>(tokens) / time);
    std::fflush(stdout);
  }
  return 0;
}
