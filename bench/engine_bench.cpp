// Our side of the comparison: the engine, answering the measurements of bench/measurement.h.
//   build/bench/engine_bench CHECKPOINT|FILE.gguf [--weights stored|q8|q4] [--threads N]
//   [MEASUREMENT…]
// As for the peers: random ids of a fixed seed, the states of the last token of each sequence only;
// a repeat before the counted ones warms up. A guard has no language-model head: `head` is ignored.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "measurement.h"
#include "model/model.h"

namespace {

using namespace qwen3guard;
using namespace qwen3guard::bench;
using Clock = std::chrono::steady_clock;

class Engine {
 public:
  Engine(std::shared_ptr<const model::Model> model, int threads)
      : model_(std::move(model)),
        pool_(threads),
        ids_(0, static_cast<std::int32_t>(model_->config().vocabulary_size) - 1) {}

  Json measure(const Request& request) {
    const Plan& plan = request.plan;
    std::vector<model::KvCache> caches;
    for (int s = 0; s < plan.sequences; ++s) caches.push_back(model_->new_cache());
    read(caches, plan.kept);
    std::vector<Seconds> repeats;
    for (int i = request.memory ? 0 : -1; i < request.repeats; ++i) {
      for (auto& cache : caches) cache.truncate(static_cast<std::size_t>(plan.kept));
      const Seconds seconds = repeat(plan, caches);
      if (i >= 0) repeats.push_back(seconds);
    }
    Json json = report(request, repeats);
    json["threads"] = pool_.threads();
    json["backend"] = kernels::active_kernels().name;
    return json;
  }

 private:
  Seconds repeat(const Plan& plan, std::vector<model::KvCache>& caches) {
    const auto start = Clock::now();
    read(caches, plan.prompt);
    const auto between = Clock::now();
    for (int i = 0; i < plan.steps; ++i) read(caches, 1);
    const auto end = Clock::now();
    return {std::chrono::duration<double>(between - start).count(),
            std::chrono::duration<double>(end - start).count()};
  }

  // `count` more tokens of every sequence, in one call.
  void read(std::vector<model::KvCache>& caches, int count) {
    if (count == 0) return;
    const auto tokens = static_cast<std::size_t>(count);
    const std::size_t width = model_->config().hidden_size;
    std::vector<std::int32_t> ids(caches.size() * tokens);
    for (auto& id : ids) id = ids_(random_);
    std::vector<float> states(caches.size() * width);
    std::vector<model::Sequence> batch;
    for (std::size_t s = 0; s < caches.size(); ++s) {
      batch.push_back({std::span(ids).subspan(s * tokens, tokens), &caches[s],
                       std::span(states).subspan(s * width, width)});
    }
    for (const Status& status : model_->forward(batch, workspace_, pool_)) {
      if (!status.ok()) throw std::runtime_error(status.error().message);
    }
  }

  std::shared_ptr<const model::Model> model_;
  base::ThreadPool pool_;
  model::Workspace workspace_;
  std::mt19937 random_{1};
  std::uniform_int_distribution<std::int32_t> ids_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures our engine; bench/measurement.h lists the measurements.");
  std::string path, weights = "stored";
  int threads = 2;
  std::vector<std::string> measurements;
  app.add_option("model", path, "a checkpoint directory or GGUF file")->required();
  app.add_option("measurements", measurements, "each one argument; none: read standard input");
  app.add_option("--weights", weights)->check(CLI::IsMember({"stored", "q8", "q4"}));
  app.add_option("--threads", threads, "threads")->check(CLI::Range(1, 256));
  CLI11_PARSE(app, argc, argv);
  const auto start = Clock::now();
  const auto model =
      model::Model::load(path, {.weights = weights == "q8"   ? WeightFormat::kQ8
                                           : weights == "q4" ? WeightFormat::kQ4
                                                             : WeightFormat::kStored});
  if (!model.ok()) {
    std::cerr << "error: " << model.error().message << '\n';
    return 1;
  }
  Engine engine(*model, threads);
  const Json info = {{"peer", "qwen3guard.cpp"},
                     {"backend", kernels::active_kernels().name},
                     {"weights", weights},
                     {"load_seconds", std::chrono::duration<double>(Clock::now() - start).count()},
                     {"threads", threads}};
  serve(info, measurements, [&](const Request& request) { return engine.measure(request); });
  return 0;
}
