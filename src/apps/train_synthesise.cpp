#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/train_commands.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "dataset/dataset_index.h"
#include "dataset/grammar.h"
#include "dataset/overlap.h"
#include "dataset/selection.h"

namespace qwen3guard::apps {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Options {
  std::vector<std::filesystem::path> grammars;
  std::filesystem::path out, apart_from;
  std::uint64_t seed = 1;
};

/// Everything that a guard is evaluated on: test rows, and the prompts of the benign figure.
Result<dataset::OverlapFilter> evaluation_text(const std::filesystem::path& folder) {
  dataset::OverlapFilter filter;
  QG_TRY(const auto index, dataset::read_dataset_index(folder));
  for (const auto& entry : index) {
    const auto benign =
        std::ranges::find(benign_sets(), entry.name, &std::pair<std::string, std::size_t>::first);
    std::vector<dataset::LabelledConversation> prompts;
    QG_CHECK_OK(dataset::read_dataset(entry, [&](dataset::LabelledConversation row) -> Status {
      if (row.split == dataset::Split::kTest) {
        for (const auto& message : row.messages) filter.add(message.content);
      } else if (benign != benign_sets().end() && row.target == Target::kPrompt) {
        prompts.push_back(std::move(row));
      }
      return {};
    }));
    if (benign == benign_sets().end()) continue;
    dataset::keep_smallest_by_hash(prompts, benign->second);
    for (const auto& row : prompts) filter.add(row.messages.back().content);
  }
  return filter;
}

std::string to_line(const dataset::LabelledConversation& row) {
  OrderedJson messages = OrderedJson::array();
  for (const auto& message : row.messages) {
    messages.push_back({{"role", message.role == Role::kUser ? "user" : "assistant"},
                        {"content", message.content}});
  }
  const OrderedJson line = {{"id", row.id},
                            {"source", row.source},
                            {"lang", row.language},
                            {"messages", messages},
                            {"target", target_name(row.target)},
                            {"label", risk_name(*row.label)},
                            {"categories", row.categories},
                            {"refusal", nullptr},
                            {"unsafe_span", nullptr},
                            {"split", "train"},
                            {"label_origin", row.label_origin}};
  return line.dump() + "\n";
}

Status synthesise(const Options& options) {
  dataset::OverlapFilter filter;
  if (!options.apart_from.empty()) {
    QG_TRY(filter, evaluation_text(options.apart_from));
  }
  std::error_code failure;
  std::filesystem::create_directories(options.out, failure);
  OrderedJson index = OrderedJson::array();
  std::map<std::string, std::filesystem::path> written;
  for (const auto& path : options.grammars) {
    QG_TRY(const auto grammar, dataset::Grammar::read(path));
    const auto [first, fresh] = written.emplace(grammar.name(), path);
    if (!fresh) {
      return Error{ErrorCode::kInvalidArgument,
                   path.string() + ": the name \"" + grammar.name() + "\" is that of " +
                       first->second.string() + ", whose rows would be overwritten; rename one"};
    }
    const auto rows = grammar.expand(options.seed);
    std::string text;
    std::map<std::string, std::size_t> labels;
    std::size_t kept = 0;
    for (const auto& row : rows) {
      if (std::ranges::any_of(row.messages,
                              [&](const Message& m) { return filter.overlaps(m.content); }))
        continue;
      text += to_line(row);
      ++labels[std::string(risk_name(*row.label))];
      ++kept;
    }
    QG_CHECK_OK(bytes::write_file_atomically(options.out / (grammar.name() + ".jsonl"), text));
    index.push_back({{"name", grammar.name()},
                     {"rows", kept},
                     {"splits", {{"train", kept}}},
                     {"labels", labels},
                     {"licence", "Apache-2.0"},
                     {"licence_class", "permissive"},
                     {"source", "this project"}});
    std::fprintf(stderr, "%-20s %6zu rows (%zu asked for, %zu too close to evaluation text)\n",
                 grammar.name().c_str(), kept, grammar.wanted(), rows.size() - kept);
  }
  return bytes::write_file_atomically(options.out / "index.json", index.dump(1) + "\n");
}

}  // namespace

void add_synthesise_command(CLI::App& app, Command& run) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("synthesise",
                                     "Make training sets from grammars (docs/formats/grammar.md)");
  command->add_option("--grammar", options->grammars, "Grammar file; may be given more than once")
      ->required();
  command->add_option("--out", options->out, "Folder for NAME.jsonl and index.json")->required();
  command->add_option("--apart-from", options->apart_from,
                      "Folder of labelled sets: leave out what resembles its test rows");
  command->add_option("--seed", options->seed, "Seed of the choices")->capture_default_str();
  command->callback([options, &run] { run = [options] { return synthesise(*options); }; });
}

}  // namespace qwen3guard::apps
