#include <cstdio>
#include <memory>
#include <vector>

#include "apps/train_commands.h"
#include "base/try.h"
#include "tokens/tokenizer.h"
#include "training/batches.h"
#include "training/figures.h"
#include "training/linear_baseline.h"

namespace qwen3guard::apps {
namespace {

struct Options {
  std::vector<std::filesystem::path> data;
  std::filesystem::path recipe, tokenizer;
  std::vector<std::string> sets;
  training::LinearOptions linear;
};

Status run_linear(const Options& options) {
  QG_TRY(const training::Recipe recipe, training::read_recipe(options.recipe));
  QG_TRY(const auto tokenizer, tokens::Tokenizer::load(options.tokenizer));
  QG_TRY(const auto categories, dataset::CategoryMap::read(recipe.categories));
  QG_TRY(const auto index, dataset::read_dataset_indexes(options.data));
  std::vector<dataset::DatasetEntry> test_sets;  // looked up before minutes of training
  for (const auto& name : options.sets.empty() ? default_test_sets() : options.sets) {
    QG_TRY(auto entry, dataset::find_dataset(index, name));
    test_sets.push_back(std::move(entry));
  }
  QG_TRY(const auto examples,
         training::load_examples(index, recipe.data, categories, *tokenizer, nullptr));
  QG_TRY(const auto stream,
         training::BatchStream::open(examples.train, examples.sources, *tokenizer, recipe, 1));
  std::fprintf(stderr, "%zu rows to train on\n", examples.train.size());
  std::vector<const training::Example*> rows_to_train;
  for (const auto& e : examples.train) rows_to_train.push_back(&e);
  const auto model =
      training::LinearClassifier::train(rows_to_train, stream.source_shares(), options.linear);
  std::map<std::string, training::SetFigures> table;
  const auto add = [&](const std::string& name, const std::vector<training::Example>& rows) {
    std::vector<const training::Example*> pointers;
    std::vector<training::Score> scores;
    for (const auto& e : rows) {
      const double p = model.not_safe(e.messages);
      pointers.push_back(&e);
      scores.push_back({p, p > 0.5, p > 0.5, std::nullopt, std::nullopt});
    }
    table[name] = training::figures(pointers, scores);
  };
  for (const auto& entry : test_sets) {
    QG_TRY(auto rows, training::load_set(entry, dataset::Split::kTest, categories, *tokenizer));
    std::erase_if(rows, [](const auto& e) { return !e.label; });
    add(entry.name, rows);
  }
  for (const auto& [name, count] : benign_sets()) {
    const auto entry = dataset::find_dataset(index, name);
    if (!entry.ok()) continue;
    QG_TRY(const auto rows, training::load_benign(*entry, count, categories, *tokenizer));
    add(name + " (benign)", rows);
  }
  std::printf("%s", training::format_figures(table).c_str());
  return {};
}

}  // namespace

void add_linear_command(CLI::App& app, Command& run) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "linear", "Train and evaluate the baseline: logistic regression on hashed n-grams");
  command
      ->add_option("--data", options->data,
                   "Folder of labelled sets with index.json; may be given more than once")
      ->required();
  command->add_option("--recipe", options->recipe, "Recipe whose data mix to use")->required();
  command
      ->add_option("--tokenizer", options->tokenizer,
                   "Folder with tokenizer.json (the reader wants one)")
      ->required();
  command
      ->add_option("--sets", options->sets,
                   "Sets to evaluate (split test), after commas; default: the guard's table")
      ->delimiter(',');
  command->add_option("--epochs", options->linear.epochs, "Passes over the rows")
      ->capture_default_str();
  command->add_option("--buckets-log2", options->linear.buckets_log2, "Weights: 2 to this power")
      ->check(CLI::Range(10, 28))
      ->capture_default_str();
  command->add_option("--learning-rate", options->linear.learning_rate, "AdaGrad's rate")
      ->capture_default_str();
  command->callback([options, &run] { run = [options] { return run_linear(*options); }; });
}

}  // namespace qwen3guard::apps
