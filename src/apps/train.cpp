// qwen3guard-train: trims the tokenizer, trains the guard and the linear baseline, and evaluates.
#include <cstdio>

#include "apps/train_commands.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Trains a Qwen3Guard-Stream from labelled conversations.\n"
      "Usual order: tokenizer, guard, evaluate; linear gives the figure to beat.\n"
      "docs/training.md walks through it.");
  app.require_subcommand(1);
  qwen3guard::apps::Command run;
  qwen3guard::apps::add_tokenizer_command(app, run);
  qwen3guard::apps::add_guard_command(app, run);
  qwen3guard::apps::add_linear_command(app, run);
  qwen3guard::apps::add_evaluate_command(app, run);
  CLI11_PARSE(app, argc, argv);
  const auto status = run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "qwen3guard-train: %s\n", status.error().message.c_str());
  return 2;
}
