// The options that every judging subcommand shares, and what they load.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "apps/terminal.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::apps {

struct GuardArguments {
  std::string model;
  std::string mode;
  std::string policy = "strict";
  std::string gen_method = "score";
  std::string overflow = "error";
  std::string weights = "stored";
  int threads = 0;  // 0: one for each core
};

void add_model_option(CLI::App& app, GuardArguments& arguments);
void add_policy_option(CLI::App& app, GuardArguments& arguments);
void add_overflow_option(CLI::App& app, GuardArguments& arguments);
void add_threads_option(CLI::App& app, GuardArguments& arguments);
void add_weights_option(CLI::App& app, GuardArguments& arguments);
/// --mode and --gen-method.
void add_gen_options(CLI::App& app, GuardArguments& arguments);

/// --color auto|always|never.
void add_colour_option(CLI::App& app, std::string& choice);
ColourChoice colour_choice(const std::string& choice);

WeightFormat weight_format(const GuardArguments& arguments);

/// arguments.threads, or the number of cores.
int thread_count(const GuardArguments& arguments);

/// `given` if not empty, else the model in the box: $QWEN3GUARD_MODEL, then models/ of the source
/// tree that the program was built in, then the installed share directory. Errors: kNotFound,
/// naming the places.
Result<std::filesystem::path> find_model(const std::string& given);

/// Loads the model for `threads` threads a call and checks --mode against it.
Result<Guard> load_guard(const GuardArguments& arguments, int threads);

}  // namespace qwen3guard::apps
