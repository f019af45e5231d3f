// The other side of the comparison: llama.cpp, measured through its C API.
//   build/bench/llama_peer MODEL.gguf [--threads N] [--variant NAME] [MEASUREMENT…]
//
// Without measurements as arguments it reads them from standard input, one a line, and answers each
// with one line of JSON, so that a driver can keep it open and alternate it with another engine in
// one run:
//
//   prefill TOKENS               a prompt read into an empty cache
//   decode DEPTH [STEPS]         16 steps of one token behind DEPTH tokens
//   batch SEQUENCES DEPTH [STEPS]   the same, one token of every sequence in each step
//   verdict TOTAL KEPT STEPS     a guard's answer: KEPT of TOTAL prompt tokens are in the cache
//   already,
//                                the others are read, then STEPS tokens are decoded
//   memory SEQUENCES TOKENS      peak resident memory (VmHWM) once each sequence holds TOKENS; of
//   the whole
//                                process, so ask a fresh one
//   info                         version, processor variant, features, where the weights lie
//   quit                         or the end of the input
//
// Options behind the numbers: `repeats=5`; `kv=unified` for one cache shared by all sequences
// instead of one each (split); `head=0` to skip the language-model head (and with it the last
// layer's feed-forward). A line that cannot be measured is answered by {"error": …}. The first line
// is the answer to `info`.
//
// What holds for every figure: random ids of a fixed seed, batches of at most 512 tokens, fp16 KV
// cache, flash attention as llama.cpp decides, logits of the last token of each sequence only, no
// sampling. Equal measurements in a row share one context, warmed up by one repeat that is not
// counted. llama.cpp's threads exist only while a measurement runs: idle, they would spin beside
// the other engine.

#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "llama-cpp.h"

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int kBatch = 512;

// Every measurement is this: behind `kept` tokens, read `prompt` tokens at once and then `steps`
// one by one, in each sequence.
struct Plan {
  int sequences = 1;
  int kept = 0;
  int prompt = 0;
  int steps = 0;
  bool head = true;
  bool unified = false;

  bool operator==(const Plan&) const = default;
  int tokens() const { return sequences * (prompt + steps); }
  int capacity() const { return sequences * (kept + prompt + steps); }
};

struct Request {
  std::string name;
  Plan plan;
  int repeats = 5;
  bool memory = false;
};

Request parse(const std::string& line) {
  std::istringstream words(line);
  std::string verb, word;
  words >> verb;
  std::vector<int> numbers;
  Request request;
  request.name = line;
  while (words >> word) {
    if (word == "kv=unified" || word == "kv=split") {
      request.plan.unified = word == "kv=unified";
    } else if (word == "head=0" || word == "head=1") {
      request.plan.head = word == "head=1";
    } else {
      const bool repeats = word.rfind("repeats=", 0) == 0;
      const std::string digits = repeats ? word.substr(8) : word;
      if (digits.empty() || digits.size() > 6 ||
          digits.find_first_not_of("0123456789") != digits.npos)
        throw std::invalid_argument("not a number or an option: " + word);
      (repeats ? request.repeats : numbers.emplace_back()) = std::stoi(digits);
    }
  }
  const auto takes = [&](std::size_t least, std::size_t most) {
    if (numbers.size() < least || numbers.size() > most)
      throw std::invalid_argument("wrong count of numbers: " + line);
    numbers.resize(most, 16);
  };
  Plan& plan = request.plan;
  if (verb == "prefill") {
    takes(1, 1);
    plan.prompt = numbers[0];
  } else if (verb == "decode") {
    takes(1, 2);
    plan.kept = numbers[0];
    plan.steps = numbers[1];
  } else if (verb == "batch") {
    takes(2, 3);
    plan.sequences = numbers[0];
    plan.kept = numbers[1];
    plan.steps = numbers[2];
  } else if (verb == "verdict") {
    takes(3, 3);
    plan.kept = numbers[1];
    plan.prompt = numbers[0] - numbers[1];
    plan.steps = numbers[2];
  } else if (verb == "memory") {
    takes(2, 2);
    request.memory = true;
    request.repeats = 1;
    plan.sequences = numbers[0];
    plan.steps = std::min(16, numbers[1]);
    plan.prompt = numbers[1] - plan.steps;
  } else {
    throw std::invalid_argument("unknown measurement: " + line);
  }
  if (plan.sequences < 1 || plan.sequences > kBatch || plan.prompt < 0 || plan.tokens() == 0 ||
      request.repeats < 1)
    throw std::invalid_argument("out of range: " + line);
  return request;
}

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

struct Seconds {
  double prompt = 0;
  double total = 0;
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

// One value of /proc/self/status, in bytes.
std::uint64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(key + ":", 0) == 0) return std::stoull(line.substr(key.size() + 1)) * 1024;
  return 0;
}

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

class Peer {
 public:
  Peer(const std::string& model, int threads, const std::string& variant, bool verbose)
      : threads_(threads) {
    log_.verbose = verbose;
    llama_log_set(Log::write, &log_);
    backend_.emplace(variant);
    model_.reset(llama_model_load_from_file(model.c_str(), llama_model_default_params()));
    if (!model_) throw std::runtime_error("cannot load " + model + " (--verbose says why)");
  }

  Json info() const {
    return {{"peer", "llama.cpp"},         {"version", llama_version()},
            {"ggml", ggml_version()},      {"commit", ggml_commit()},
            {"backend", backend_->name()}, {"features", backend_->features()},
            {"weights", log_.weights},     {"system_info", llama_print_system_info()},
            {"threads", threads_}};
  }

  Json answer(const std::string& line) {
    if (line == "info") return info();
    const Request request = parse(line);
    const auto pool = threads();
    // Out of its place while it runs, so that one that fails is not used again.
    std::unique_ptr<Bench> bench = std::move(bench_);
    const bool fresh = !bench || bench->plan() != request.plan;
    if (fresh) {
      bench.reset();  // two contexts at a time would count as the peer's memory
      bench = std::make_unique<Bench>(model_.get(), request.plan, threads_);
    }
    llama_attach_threadpool(bench->context(), pool.get(), nullptr);
    if (fresh) {
      bench->fill();
      if (!request.memory) bench->repeat();
    }
    std::vector<double> prompt, total;
    for (int i = 0; i < request.repeats; ++i) {
      const Seconds seconds = bench->repeat();
      prompt.push_back(seconds.prompt);
      total.push_back(seconds.total);
    }
    llama_detach_threadpool(bench->context());
    bench_ = std::move(bench);

    Json json = {{"name", request.name}, {"tokens", request.plan.tokens()}};
    if (request.memory) {
      json["peak_bytes"] = status_bytes("VmHWM");
      json["anonymous_bytes"] = status_bytes("RssAnon");
      json["mapped_bytes"] = status_bytes("RssFile");
    } else {
      json["repeats"] = request.repeats;
      json["median_seconds"] = median(total);
      json["best_seconds"] = *std::min_element(total.begin(), total.end());
      if (request.plan.steps > 0 && request.plan.prompt > 0)
        json["median_prompt_seconds"] = median(prompt);
      json["tokens_per_second"] = request.plan.tokens() / median(total);
    }
    json["threads"] = threads_;
    json["backend"] = backend_->name();
    return json;
  }

 private:
  // As its server does, one pool for all steps; without it each step would start its threads anew.
  std::shared_ptr<ggml_threadpool> threads() const {
    ggml_threadpool_params params = ggml_threadpool_params_default(threads_);
    return {
        backend_->find<ggml_threadpool*(ggml_threadpool_params*)>("ggml_threadpool_new")(&params),
        backend_->find<void(ggml_threadpool*)>("ggml_threadpool_free")};
  }

  int threads_;
  Log log_;
  std::optional<Backend> backend_;
  llama_model_ptr model_;
  std::unique_ptr<Bench> bench_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures llama.cpp; the top of bench/peers/llama_peer.cpp lists the measurements.");
  std::string model, variant;
  std::vector<std::string> measurements;
  int threads = 2;
  bool verbose = false;
  app.add_option("model", model, "a GGUF file")->required();
  app.add_option("measurements", measurements, "each one argument; none: read standard input");
  app.add_option("--threads", threads, "threads")->check(CLI::Range(1, 256));
  app.add_option("--variant", variant, "this libggml-cpu-NAME.so instead of the best one");
  app.add_flag("--verbose", verbose, "pass llama.cpp's log on to standard error");
  CLI11_PARSE(app, argc, argv);
  try {
    Peer peer(model, threads, variant, verbose);
    const auto print = [](const Json& json) { std::cout << json.dump() << std::endl; };
    const auto answer = [&](const std::string& line) {
      try {
        print(peer.answer(line));
      } catch (const std::exception& error) {
        print({{"error", error.what()}});
      }
    };
    print(peer.info());
    for (const std::string& line : measurements) answer(line);
    if (measurements.empty())
      for (std::string line; std::getline(std::cin, line) && line != "quit";) answer(line);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
