// qwen3guard-train: makes training sets from grammars, trims the tokenizer, trains the guard and
// the linear baseline, and evaluates.
#include <malloc.h>

#include <cstdio>

#include "apps/train_commands.h"

namespace {

/// Each step allocates and frees the same few hundred megabytes: given back to the system in
/// between, they come again as page faults, a third of the time of a step on a virtual machine.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
  mallopt(M_TOP_PAD, 256 << 20);
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  CLI::App app(
      "Trains a Qwen3Guard-Stream from labelled conversations.\n"
      "Usual order: synthesise, tokenizer, guard, evaluate; linear gives the figure to beat.\n"
      "docs/training.md walks through it.");
  app.require_subcommand(1);
  qwen3guard::apps::Command run;
  qwen3guard::apps::add_tokenizer_command(app, run);
  qwen3guard::apps::add_synthesise_command(app, run);
  qwen3guard::apps::add_guard_command(app, run);
  qwen3guard::apps::add_linear_command(app, run);
  qwen3guard::apps::add_average_command(app, run);
  qwen3guard::apps::add_evaluate_command(app, run);
  CLI11_PARSE(app, argc, argv);
  const auto status = run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "qwen3guard-train: %s\n", status.error().message.c_str());
  return 2;
}
