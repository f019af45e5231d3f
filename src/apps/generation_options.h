// The options of the subcommands that write, and the model that does.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

#include "qwen3guard/generator.h"

namespace qwen3guard::apps {

/// --max-tokens, --temperature, --top-p, --top-k, --repetition-penalty, --seed, --stop. Defaults
/// are those of `options`.
void add_sampling_options(CLI::App& command, GenerateOptions& options);

/// Errors name the model.
Result<Generator> load_generator(const std::filesystem::path& path,
                                 const GeneratorOptions& options);

}  // namespace qwen3guard::apps
