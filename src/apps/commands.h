// The subcommands. Each adds itself to the command line; when it was chosen, its callback sets
// `status`.
#pragma once

#include <CLI/CLI.hpp>

namespace qwen3guard::apps {

void add_moderate(CLI::App& app, int& status);
void add_stream(CLI::App& app, int& status);
void add_generate(CLI::App& app, int& status);
void add_intervene(CLI::App& app, int& status);
void add_inspect(CLI::App& app, int& status);
void add_evaluate(CLI::App& app, int& status);
void add_quantize(CLI::App& app, int& status);
void add_serve(CLI::App& app, int& status);
void add_gateway(CLI::App& app, int& status);

}  // namespace qwen3guard::apps
