// The subcommands of qwen3guard-train. Each registers its options and sets `run` when it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::apps {

using Command = std::function<Status()>;

void add_tokenizer_command(CLI::App& app, Command& run);
void add_synthesise_command(CLI::App& app, Command& run);
void add_guard_command(CLI::App& app, Command& run);
void add_linear_command(CLI::App& app, Command& run);
void add_average_command(CLI::App& app, Command& run);
void add_evaluate_command(CLI::App& app, Command& run);

/// The sets that the guard is judged on (split test), in the order of the tables.
const std::vector<std::string>& default_test_sets();
/// How many prompts with the smallest SHA-256 of their id make the benign figure, by set.
const std::vector<std::pair<std::string, std::size_t>>& benign_sets();

}  // namespace qwen3guard::apps
