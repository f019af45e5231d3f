// The other side of the comparison: llama.cpp, measured through its C API.
//   build/bench/llama_peer MODEL.gguf [--threads N] [--variant NAME] [--no-mmap] [MEASUREMENT…]
//
// MEASUREMENT as bench/measurement.h lists them. Without any, it reads them from standard input and
// answers each with one line of JSON, so that a driver can keep it open and alternate it with
// another engine in one run: `prefill 512` in, {"name":"prefill 512","tokens":512,…} out. With
// `head=0` llama.cpp also leaves out the last layer's feed-forward, since nobody reads it.
//
// What holds for every figure: random ids of a fixed seed, batches of at most 512 tokens, fp16 KV
// cache, flash attention as llama.cpp decides, logits of the last token of each sequence only, no
// sampling. Equal measurements in a row share one context, warmed up by one repeat that is not
// counted. llama.cpp's threads exist only while a measurement runs: idle, they would spin beside
// the other engine.

#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "llama-cpp.h"
#include "measurement.h"

namespace {

using namespace qwen3guard::bench;
using Clock = std::chrono::steady_clock;

constexpr int kBatch = 512;

// What llama.cpp says while it loads: which buffers the weights went to says which kernels will
// read them.
struct Log {
  bool verbose = false;
  std::vector<std::string> weights;

  static void write(ggml_log_level, const char* text, void* self) {
    Log& log = *static_cast<Log*>(self);
    const std::string line(text);
    if (line.find("model buffer size") != line.npos) {
      const std::size_t start = line.find_first_not_of(' ', line.find(':') + 1);
      log.weights.push_back(line.substr(start, line.find_last_not_of("\n") + 1 - start));
    }
    if (log.verbose) std::cerr << line;
  }
};

// The processor backend: a library that llama.cpp chooses at start among those beside libllama.
class Backend {
 public:
  explicit Backend(const std::string& variant) {
    Dl_info library{};
    if (dladdr(dlsym(RTLD_DEFAULT, "llama_backend_init"), &library) == 0)
      throw std::runtime_error("cannot tell where libllama lies");
    const auto folder = std::filesystem::path(library.dli_fname).parent_path();
    if (variant.empty())
      ggml_backend_load_all_from_path(folder.c_str());
    else
      ggml_backend_load((folder / ("libggml-cpu-" + variant + ".so")).c_str());
    cpu_ = ggml_backend_reg_by_name("CPU");
    if (cpu_ == nullptr) throw std::runtime_error("no processor backend in " + folder.string());
    dladdr(ggml_backend_reg_get_proc_address(cpu_, "ggml_threadpool_new"), &library);
    name_ = std::filesystem::path(library.dli_fname).stem().string();
    llama_backend_init();
  }

  template <typename Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(ggml_backend_reg_get_proc_address(cpu_, name));
  }

  const std::string& name() const { return name_; }

  Json features() const {
    Json features;
    const auto* list =
        find<std::remove_pointer_t<ggml_backend_get_features_t>>("ggml_backend_get_features")(cpu_);
    for (; list->name != nullptr; ++list) features[list->name] = list->value;
    return features;
  }

 private:
  ggml_backend_reg_t cpu_ = nullptr;
  std::string name_;
};

// One context in which one plan runs again and again.
class Bench {
 public:
  Bench(llama_model* model, const Plan& plan, int threads) : plan_(plan) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<std::uint32_t>(plan.capacity());
    params.n_batch = params.n_ubatch = kBatch;
    params.n_seq_max = params.n_outputs_max = static_cast<std::uint32_t>(plan.sequences);
    params.n_threads = params.n_threads_batch = threads;
    params.kv_unified = plan.unified;
    context_.reset(llama_init_from_model(model, params));
    if (!context_) throw std::runtime_error("no context of that size");
    ids_ = std::uniform_int_distribution<llama_token>(
        0, llama_vocab_n_tokens(llama_model_get_vocab(model)) - 1);
    batch_ = llama_batch_init(kBatch, 0, 1);
  }
  ~Bench() { llama_batch_free(batch_); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const Plan& plan() const { return plan_; }
  llama_context* context() const { return context_.get(); }

  void fill() { read(plan_.kept); }

  Seconds repeat() {
    for (int sequence = 0; sequence < plan_.sequences; ++sequence)
      llama_memory_seq_rm(llama_get_memory(context_.get()), sequence, plan_.kept, -1);
    depth_ = plan_.kept;
    const auto start = Clock::now();
    read(plan_.prompt);
    const auto between = Clock::now();
    for (int i = 0; i < plan_.steps; ++i) step();
    const auto end = Clock::now();
    return {std::chrono::duration<double>(between - start).count(),
            std::chrono::duration<double>(end - start).count()};
  }

 private:
  void add(int sequence, int position, bool last) {
    const int i = batch_.n_tokens++;
    batch_.token[i] = ids_(random_);
    batch_.pos[i] = position;
    batch_.n_seq_id[i] = 1;
    batch_.seq_id[i][0] = sequence;
    batch_.logits[i] = last && plan_.head;
  }

  void run() {
    if (llama_decode(context_.get(), batch_) != 0) throw std::runtime_error("llama_decode failed");
    llama_synchronize(context_.get());
    batch_.n_tokens = 0;
  }

  // Sequence after sequence: the least that a server with room for one batch would hold at a time.
  void read(int count) {
    for (int sequence = 0; sequence < plan_.sequences; ++sequence)
      for (int i = 0; i < count; ++i) {
        add(sequence, depth_ + i, i + 1 == count);
        if (batch_.n_tokens == kBatch || i + 1 == count) run();
      }
    depth_ += count;
  }

  void step() {
    for (int sequence = 0; sequence < plan_.sequences; ++sequence) add(sequence, depth_, true);
    run();
    ++depth_;
  }

  Plan plan_;
  int depth_ = 0;
  llama_context_ptr context_;
  llama_batch batch_{};
  std::mt19937 random_{1};
  std::uniform_int_distribution<llama_token> ids_;
};

struct Options {
  std::string model;
  std::string variant;
  int threads = 2;
  bool no_mmap = false;
  bool verbose = false;
};

class Peer {
 public:
  explicit Peer(const Options& options) : options_(options) {
    log_.verbose = options.verbose;
    llama_log_set(Log::write, &log_);
    backend_.emplace(options.variant);
    llama_model_params params = llama_model_default_params();
    if (options.no_mmap) params.load_mode = LLAMA_LOAD_MODE_NONE;
    model_.reset(llama_model_load_from_file(options.model.c_str(), params));
    if (!model_) throw std::runtime_error("cannot load " + options.model + " (--verbose says why)");
  }

  Json info() const {
    return {{"peer", "llama.cpp"},         {"version", llama_version()},
            {"ggml", ggml_version()},      {"commit", ggml_commit()},
            {"backend", backend_->name()}, {"features", backend_->features()},
            {"weights", log_.weights},     {"system_info", llama_print_system_info()},
            {"threads", options_.threads}};
  }

  Json measure(const Request& request) {
    const auto pool = threads();
    // Out of its place while it runs, so that one that fails is not used again.
    std::unique_ptr<Bench> bench = std::move(bench_);
    const bool fresh = !bench || bench->plan() != request.plan;
    if (fresh) {
      bench.reset();  // two contexts at a time would count as the peer's memory
      bench = std::make_unique<Bench>(model_.get(), request.plan, options_.threads);
    }
    llama_attach_threadpool(bench->context(), pool.get(), nullptr);
    if (fresh) {
      bench->fill();
      if (!request.memory) bench->repeat();
    }
    std::vector<Seconds> repeats;
    for (int i = 0; i < request.repeats; ++i) repeats.push_back(bench->repeat());
    llama_detach_threadpool(bench->context());
    bench_ = std::move(bench);

    Json json = report(request, repeats);
    json["threads"] = options_.threads;
    json["backend"] = backend_->name();
    return json;
  }

 private:
  // As its server does, one pool for all steps; without it each step would start its threads anew.
  std::shared_ptr<ggml_threadpool> threads() const {
    ggml_threadpool_params params = ggml_threadpool_params_default(options_.threads);
    return {
        backend_->find<ggml_threadpool*(ggml_threadpool_params*)>("ggml_threadpool_new")(&params),
        backend_->find<void(ggml_threadpool*)>("ggml_threadpool_free")};
  }

  Options options_;
  Log log_;
  std::optional<Backend> backend_;
  llama_model_ptr model_;
  std::unique_ptr<Bench> bench_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures llama.cpp; bench/measurement.h lists the measurements.");
  Options options;
  std::vector<std::string> measurements;
  app.add_option("model", options.model, "a GGUF file")->required();
  app.add_option("measurements", measurements, "each one argument; none: read standard input");
  app.add_option("--threads", options.threads, "threads")->check(CLI::Range(1, 256));
  app.add_option("--variant", options.variant, "this libggml-cpu-NAME.so instead of the best one");
  app.add_flag("--no-mmap", options.no_mmap, "read the file instead of mapping it");
  app.add_flag("--verbose", options.verbose, "pass llama.cpp's log on to standard error");
  CLI11_PARSE(app, argc, argv);
  try {
    Peer peer(options);
    serve(peer.info(), measurements, [&](const Request& request) { return peer.measure(request); });
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
