#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/train_commands.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "tokens/tokenizer.h"
#include "training/evaluate.h"

namespace qwen3guard::apps {
namespace {

struct Options {
  std::filesystem::path data, model, categories, json;
  std::vector<std::string> sets;
  bool benign = true;
  std::string precision = "fp32";
  int threads = 1;
};

nlohmann::json to_json(const training::SetFigures& f) {
  nlohmann::json value = {{"rows", f.rows},
                          {"f1_strict", f.strict.f1()},
                          {"f1_loose", f.loose.f1()},
                          {"recall_strict", f.strict.recall()},
                          {"precision_strict", f.strict.precision()},
                          {"flagged_strict", f.strict.flagged()},
                          {"category_known", f.category_known},
                          {"category_right", f.category_right}};
  value["auroc"] = f.auroc ? nlohmann::json(*f.auroc) : nlohmann::json(nullptr);
  return value;
}

Status evaluate(const Options& options) {
  training::set_threads(options.threads);
  QG_TRY(const auto tokenizer, tokens::Tokenizer::load(options.model));
  QG_TRY(const auto index, dataset::read_dataset_index(options.data));
  dataset::CategoryMap categories;
  if (!options.categories.empty()) {
    QG_TRY(categories, dataset::CategoryMap::read(options.categories));
  }
  QG_TRY(const auto scorer,
         training::Scorer::open(options.model, tokenizer->vocabulary_size(),
                                options.precision == "bf16" ? training::Precision::kBFloat16
                                                            : training::Precision::kFloat32));
  std::fprintf(stderr, "%.1f M parameters\n", static_cast<double>(scorer.parameters()) / 1e6);
  std::map<std::string, training::SetFigures> table;
  const auto add = [&](const std::string& name, const std::vector<training::Example>& examples) {
    std::vector<const training::Example*> pointers;
    for (const auto& e : examples) pointers.push_back(&e);
    table[name] = training::figures(pointers, scorer.score(examples));
    std::fprintf(stderr, "\r%-32s", name.c_str());
  };
  const auto& sets = options.sets.empty() ? default_test_sets() : options.sets;
  for (const auto& name : sets) {
    QG_TRY(const auto entry, dataset::find_dataset(index, name));
    QG_TRY(auto examples, training::load_set(entry, dataset::Split::kTest, categories, *tokenizer));
    std::erase_if(examples, [](const auto& e) { return !e.label; });
    add(name, examples);
  }
  if (options.benign) {
    std::vector<training::Example> all;
    for (const auto& [name, count] : benign_sets()) {
      QG_TRY(const auto entry, dataset::find_dataset(index, name));
      QG_TRY(auto examples, training::load_benign(entry, count, categories, *tokenizer));
      add(name + " (benign)", examples);
      all.insert(all.end(), std::make_move_iterator(examples.begin()),
                 std::make_move_iterator(examples.end()));
    }
    add("benign prompts together", all);
  }
  std::fprintf(stderr, "\r%-40s\r", "");
  std::printf("%s", training::format_figures(table).c_str());
  if (options.json.empty()) return {};
  nlohmann::json root = nlohmann::json::object();
  for (const auto& [name, f] : table) root[name] = to_json(f);
  return bytes::write_file_atomically(options.json, root.dump(1) + "\n");
}

}  // namespace

const std::vector<std::string>& default_test_sets() {
  static const std::vector<std::string> kSets = {
      "beavertails_test",  "cold",      "diasafety",     "harmbench_prompt", "hatecheck",
      "simplesafetytests", "toxicchat", "xstest_prompts"};
  return kSets;
}

const std::vector<std::pair<std::string, std::size_t>>& benign_sets() {
  static const std::vector<std::pair<std::string, std::size_t>> kSets = {
      {"benign_alpaca_en", 3000}, {"benign_alpaca_zh", 2000}};
  return kSets;
}

void add_evaluate_command(CLI::App& app, Command& run) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "evaluate", "AUROC, F1, recall and share flagged of a checkpoint on test sets");
  command->add_option("--data", options->data, "Folder of labelled sets with index.json")
      ->required();
  command
      ->add_option("--model", options->model,
                   "Checkpoint with config.json, model.safetensors, tokenizer.json")
      ->required();
  command->add_option("--categories", options->categories,
                      "Category table, for the share of right categories");
  command
      ->add_option("--sets", options->sets,
                   "Sets to evaluate (split test), after commas; default: the guard's table")
      ->delimiter(',');
  command->add_flag("!--no-benign", options->benign, "Leave the benign prompts out");
  command->add_option("--json", options->json, "Also write the figures to this file");
  command->add_option("--precision", options->precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads of libtorch")->capture_default_str();
  command->callback([options, &run] { run = [options] { return evaluate(*options); }; });
}

}  // namespace qwen3guard::apps
