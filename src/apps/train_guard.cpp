#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <memory>
#include <vector>

#include "apps/train_commands.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "dataset/sha256.h"
#include "tokens/tokenizer.h"
#include "training/batches.h"
#include "training/evaluate.h"
#include "training/linear_baseline.h"
#include "training/trainer.h"

namespace qwen3guard::apps {
namespace {

volatile std::sig_atomic_t interrupted = 0;

struct Options {
  std::vector<std::filesystem::path> data;
  std::filesystem::path recipe, tokenizer;
  std::string precision = "auto";
  int threads = 1;
  std::size_t steps = 0;
  training::TrainOptions train;
};

std::string bar(double share) {
  std::string text(30, '.');
  for (std::size_t i = 0; i < text.size() && static_cast<double>(i) < share * 30; ++i)
    text[i] = '#';
  return text;
}

training::TrainObserver make_observer() {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  training::TrainObserver observer;
  observer.progress = [terminal](const training::TrainProgress& p) {
    const double share = static_cast<double>(p.step) / static_cast<double>(p.steps);
    if (terminal) {
      std::fprintf(stderr, "\r[%s] %zu/%zu  loss %.4f  rate %.2e  %.0f tokens/s ",
                   bar(share).c_str(), p.step, p.steps, p.loss, p.rate, p.tokens_per_second);
    } else if (p.step % 100 == 0 || p.step == p.steps) {
      std::fprintf(stderr, "step %zu/%zu  loss %.4f  rate %.2e  %.0f tokens/s\n", p.step, p.steps,
                   p.loss, p.rate, p.tokens_per_second);
    }
  };
  observer.say = [terminal](const std::string& text) {
    std::fprintf(stderr, "%s%s\n", terminal ? "\n" : "", text.c_str());
  };
  return observer;
}

/// Adds the linear classifier's opinions, and the unlabelled rows that now have one.
Result<training::Teacher> learn_from_linear(const training::Recipe& recipe,
                                            const tokens::Tokenizer& tokenizer,
                                            training::ExampleSet& examples) {
  std::fprintf(stderr, "training the linear teacher on both halves\n");
  QG_TRY(const auto stream,
         training::BatchStream::open(examples.train, examples.sources, tokenizer, recipe, 1));
  auto teacher = training::teach(examples, stream.source_shares(), {});
  std::ranges::move(examples.unlabelled, std::back_inserter(examples.train));
  examples.unlabelled.clear();
  return teacher;
}

/// Of every row to train on: its id, text and label.
std::string digest_of(const std::vector<training::Example>& rows) {
  std::string digest;
  for (const auto& row : rows) {
    std::string all = digest + row.id;
    all += row.label ? risk_name(*row.label) : "unlabelled";
    for (const auto& message : row.messages) all += "\n" + message.content;
    digest = dataset::to_hex(dataset::sha256(all));
  }
  return digest;
}

Status train(Options options) {
  QG_TRY(training::Recipe recipe, training::read_recipe(options.recipe));
  if (options.steps != 0) recipe.optimizer.steps = options.steps;
  QG_TRY(const auto tokenizer, tokens::Tokenizer::load(options.tokenizer));
  QG_TRY(const auto categories, dataset::CategoryMap::read(recipe.categories));
  QG_TRY(const auto index, dataset::read_dataset_indexes(options.data));
  const auto batches = static_cast<int>(recipe.optimizer.batches_per_step);
  options.train.threads = std::min(options.threads, batches);
  training::set_threads(batches > 1 ? 1 : options.threads);
  if (options.precision == "bf16") options.train.precision = training::Precision::kBFloat16;

  auto examples = training::load_examples(
      index, recipe.data, categories, *tokenizer,
      [](const std::string& name, std::size_t i, std::size_t n) {
        if (isatty(STDERR_FILENO) != 0)
          std::fprintf(stderr, "\rreading %zu/%zu %-32s", i + 1, n, name.c_str());
      });
  if (!examples.ok()) return examples.error();
  std::fprintf(stderr, "%zu rows to train on, %zu held out, %zu without a label\n",
               examples->train.size(), examples->validation.size(), examples->unlabelled.size());
  for (const auto& [name, count] : examples->refused) {
    std::fprintf(stderr, "  %zu rows of %s left out: no template takes their turns\n", count,
                 name.c_str());
  }

  if (recipe.loss.teacher > 0) {
    QG_TRY(options.train.teacher, learn_from_linear(recipe, *tokenizer, *examples));
  }

  // What must be equal for a state to be taken up again.
  QG_TRY(const std::string recipe_text, bytes::read_file(options.recipe, 1 << 20));
  QG_TRY(const std::string category_text, bytes::read_file(recipe.categories, 1 << 24));
  QG_TRY(const std::string tokenizer_text,
         bytes::read_file(options.tokenizer / "tokenizer.json", std::size_t{64} << 20));
  std::string identity = recipe_text + category_text + tokenizer_text;
  for (const auto& name : examples->sources) identity += "\n" + name;
  identity += "\n" + digest_of(examples->train) + " " + std::to_string(options.train.seed) + " " +
              options.precision + " " + std::to_string(recipe.optimizer.steps) + " " +
              options.train.init.string() + (options.train.grow ? " grow" : "");
  const std::string fingerprint = dataset::to_hex(dataset::sha256(identity));

  options.train.tokenizer = options.tokenizer / "tokenizer.json";
  options.train.interrupted = [] { return interrupted != 0; };
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  QG_TRY(const auto report, training::train_guard(recipe, fingerprint, *examples, *tokenizer,
                                                  options.train, make_observer()));
  std::fprintf(
      stderr, "%s after %zu steps, %.1f M tokens, %.1f minutes; best validation %.4f at step %zu\n",
      report.finished ? "finished" : "stopped (run again to go on)", report.steps,
      static_cast<double>(report.tokens) / 1e6, report.seconds / 60, report.best, report.best_step);
  return {};
}

}  // namespace

void add_guard_command(CLI::App& app, Command& run) {
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("guard", "Train the guard; run again with the same options to resume");
  command
      ->add_option("--data", options->data,
                   "Folder of labelled sets with index.json; may be given more than once")
      ->required();
  command->add_option("--recipe", options->recipe, "Recipe file, see src/training/recipes")
      ->required();
  command->add_option("--tokenizer", options->tokenizer, "Folder with tokenizer.json")->required();
  command->add_option("--out", options->train.out, "Folder for state, log, curves and checkpoints")
      ->required();
  command->add_option("--init", options->train.init, "Hugging Face checkpoint to start from");
  command->add_flag("--grow", options->train.grow,
                    "With --init: the recipe's model, with more layers or wider MLPs than it has");
  command
      ->add_option(
          "--precision", options->precision,
          "fp32, or bf16 for the trunk's multiplications where the processor is fast at it")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->default_str("fp32");
  command
      ->add_option(
          "--threads", options->threads,
          "Threads, for the batches of a step; with one batch a step for libtorch's loops, "
          "which gives up bit-equal resumption")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--seed", options->train.seed, "Seed of weights, order and augmentation")
      ->capture_default_str();
  command->add_option("--steps", options->steps, "Overrides the recipe's number of steps");
  command->add_option("--save-every", options->train.save_every, "Steps between saved states")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--stop-after", options->train.stop_after,
                      "Stop after so many steps, to be resumed later");
  command->callback([options, &run] { run = [options] { return train(*options); }; });
}

}  // namespace qwen3guard::apps
