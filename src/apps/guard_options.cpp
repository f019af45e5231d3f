#include "apps/guard_options.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include "base/try.h"
#include "bytes/quote.h"

namespace qwen3guard::apps {
namespace {

constexpr const char* kBoxedModel = "qwen3guard-stream-mini";

}  // namespace

void add_model_option(CLI::App& app, GuardArguments& arguments) {
  app.add_option("--model", arguments.model,
                 "Checkpoint directory as published (config.json, *.safetensors, tokenizer.json) "
                 "or .gguf file. "
                 "Default: $QWEN3GUARD_MODEL, else the model in the box")
      ->type_name("DIR|FILE");
}

void add_policy_option(CLI::App& app, GuardArguments& arguments) {
  app.add_option("--policy", arguments.policy,
                 "strict (Controversial counts as Unsafe), loose (as Safe), or a policy file")
      ->type_name("strict|loose|FILE")
      ->capture_default_str();
}

void add_overflow_option(CLI::App& app, GuardArguments& arguments) {
  app.add_option(
         "--overflow", arguments.overflow,
         "When a response outgrows the model: error, or slide a window, which the verdict says")
      ->check(CLI::IsMember({"error", "slide"}))
      ->type_name("error|slide")
      ->capture_default_str();
}

void add_threads_option(CLI::App& app, GuardArguments& arguments) {
  app.add_option("--threads", arguments.threads, "Threads to use; 0: one for each core")
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->capture_default_str();
}

void add_weights_option(CLI::App& app, GuardArguments& arguments) {
  app.add_option(
         "--weights", arguments.weights,
         "How to hold the weights: stored (as the checkpoint has them, fp32 arithmetic), or "
         "quantized on load: q8 (8 bits), q4 (4 bits)")
      ->check(CLI::IsMember({"stored", "q8", "q4"}))
      ->type_name("stored|q8|q4")
      ->capture_default_str();
}

void add_gen_options(CLI::App& app, GuardArguments& arguments) {
  app.add_option("--mode", arguments.mode,
                 "Kind of model expected, stream or gen; default: what the checkpoint is")
      ->check(CLI::IsMember({"stream", "gen"}))
      ->type_name("stream|gen");
  app.add_option(
         "--gen-method", arguments.gen_method,
         "How a Gen model's verdict is read: score (label probabilities) or greedy (its text)")
      ->check(CLI::IsMember({"score", "greedy"}))
      ->type_name("score|greedy")
      ->capture_default_str();
}

void add_colour_option(CLI::App& app, std::string& choice) {
  app.add_option("--color", choice,
                 "auto: on a terminal, unless NO_COLOR is set; without colour verdicts are markers")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("auto|always|never")
      ->capture_default_str();
}

ColourChoice colour_choice(const std::string& name) {
  return name == "always"  ? ColourChoice::kAlways
         : name == "never" ? ColourChoice::kNever
                           : ColourChoice::kAuto;
}

WeightFormat weight_format(const GuardArguments& arguments) {
  return arguments.weights == "q8"   ? WeightFormat::kQ8
         : arguments.weights == "q4" ? WeightFormat::kQ4
                                     : WeightFormat::kStored;
}

int thread_count(const GuardArguments& arguments) {
  if (arguments.threads > 0) return arguments.threads;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

Result<std::filesystem::path> find_model(const std::string& given) {
  if (!given.empty()) return std::filesystem::path(given);
  if (const char* set = std::getenv("QWEN3GUARD_MODEL"); set != nullptr && *set != '\0') {
    return std::filesystem::path(set);
  }
  std::error_code failure;
  const auto executable = std::filesystem::read_symlink("/proc/self/exe", failure);
  const auto folder = executable.parent_path();
  const std::vector<std::filesystem::path> places = {
      folder / "../../models" / kBoxedModel,  // build/release/ of the source tree
      folder / "../share/qwen3guard/models" / kBoxedModel,
  };
  std::string looked;
  for (const auto& place : places) {
    const auto path = place.lexically_normal();
    if (std::filesystem::exists(path / "config.json", failure)) return path;
    looked += (looked.empty() ? "" : " and ") + bytes::quote_path(path);
  }
  return Error{ErrorCode::kNotFound,
               "no --model was given and the model in the box is not there (looked at " + looked +
                   "); give --model DIR or set QWEN3GUARD_MODEL"};
}

Result<Guard> load_guard(const GuardArguments& arguments, int threads) {
  QG_TRY(const std::filesystem::path directory, find_model(arguments.model));
  GuardOptions options;
  options.threads = threads;
  options.gen_method = arguments.gen_method == "greedy" ? GenMethod::kGreedy : GenMethod::kScore;
  options.overflow = arguments.overflow == "slide" ? Overflow::kSlide : Overflow::kError;
  options.weights = weight_format(arguments);
  auto guard = Guard::load(directory, options);
  if (!guard.ok())
    return std::move(guard).error().with_context("model " + bytes::quote_path(directory));
  const char* found = guard->mode() == Mode::kStream ? "stream" : "gen";
  if (!arguments.mode.empty() && arguments.mode != found) {
    return Error{ErrorCode::kInvalidArgument,
                 "--mode " + arguments.mode + ": " + bytes::quote_path(directory) + " is a " +
                     found + " model; give another --model or leave --mode out"};
  }
  return guard;
}

}  // namespace qwen3guard::apps
