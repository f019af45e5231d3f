// qwen3guard evaluate: figures of a guard on labelled sets.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/guard_options.h"
#include "apps/output.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "dataset/dataset_index.h"
#include "evaluation/benchmark.h"
#include "formats/verdict_json.h"

namespace qwen3guard::apps {
namespace {

using formats::OrderedJson;

using evaluation::Confusion;
using evaluation::SetResult;
using Rows = std::vector<dataset::LabelledConversation>;

struct EvaluateArguments {
  GuardArguments guard;
  std::string data;
  std::vector<std::string> sets;
  std::vector<std::string> benign;
  std::string output;
  std::size_t limit = 0;
};

struct BenignSet {
  std::size_t count = 0;
  std::string name;
};

Result<BenignSet> parse_benign(const std::string& text) {
  std::istringstream stream(text);
  BenignSet set;
  char colon = 0;
  if (!(stream >> set.count >> colon >> set.name) || colon != ':' || set.count == 0 ||
      !stream.eof()) {
    return Error{
        ErrorCode::kInvalidArgument,
        "--benign: expected N:set, for example 3000:benign_alpaca_en, found \"" + text + "\""};
  }
  return set;
}

std::string cell(const std::optional<double>& value, double scale, const char* pattern) {
  if (!value) return "-";
  char text[32];
  std::snprintf(text, sizeof text, pattern, *value * scale);
  return text;
}

std::string table_row(const std::string& name, const std::vector<std::string>& cells) {
  constexpr std::size_t kNameWidth = 28, kCellWidth = 10;
  std::string row = name;
  if (row.size() < kNameWidth) row.resize(kNameWidth, ' ');
  for (const std::string& text : cells) {
    row += std::string(text.size() < kCellWidth ? kCellWidth - text.size() : 1, ' ') + text;
  }
  return row + "\n";
}

std::string set_row(const SetResult& set) {
  return table_row(
      set.name, {std::to_string(set.rows), std::to_string(set.errors), cell(set.auroc, 1, "%.4f"),
                 cell(set.strict.f1(), 100, "%.1f"), cell(set.loose.f1(), 100, "%.1f"),
                 cell(set.strict.recall(), 100, "%.1f"), cell(set.loose.recall(), 100, "%.1f"),
                 cell(set.strict.flagged(), 100, "%.1f"), cell(set.loose.flagged(), 100, "%.1f")});
}

OrderedJson number(const std::optional<double>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

OrderedJson confusion_json(const Confusion& c) {
  const auto interval = evaluation::wilson(c.true_positives + c.false_positives, c.total());
  return {{"f1", number(c.f1())},
          {"precision", number(c.precision())},
          {"recall", number(c.recall())},
          {"flagged", number(c.flagged())},
          {"flagged_95", {interval.low, interval.high}},
          {"true_positives", c.true_positives},
          {"false_positives", c.false_positives},
          {"false_negatives", c.false_negatives},
          {"true_negatives", c.true_negatives}};
}

OrderedJson set_json(const SetResult& set) {
  return {{"set", set.name},
          {"rows", set.rows},
          {"errors", set.errors},
          {"auroc", number(set.auroc)},
          {"strict", confusion_json(set.strict)},
          {"loose", confusion_json(set.loose)}};
}

// Evaluates sets one after the other, prints their rows as they come.
class Evaluation {
 public:
  Evaluation(const Guard& guard, int threads, Output& output)
      : guard_(guard), threads_(threads), output_(output), show_(::isatty(STDERR_FILENO) == 1) {}

  Status header() {
    QG_CHECK_OK(output_.write(table_row("set", {"rows", "errors", "AUROC", "F1 strict", "F1 loose",
                                                "R strict", "R loose", "% strict", "% loose"})));
    return output_.flush();
  }

  Result<SetResult> judge(const std::string& name, const Rows& rows) {
    const auto progress = [&](std::size_t done, std::size_t total) {
      if (done % 50 == 0 || done == total) {
        std::fprintf(stderr, "\r\x1b[K%s %zu of %zu", name.c_str(), done, total);
      }
    };
    SetResult set = evaluation::evaluate_rows(guard_, name, rows, threads_,
                                              show_ ? evaluation::OnProgress(progress) : nullptr);
    if (show_) std::fputs("\r\x1b[K", stderr);
    errors_ += set.errors;
    if (set.first_error) print_error(Error(*set.first_error).with_context(name));
    QG_CHECK_OK(report(set));
    return set;
  }

  Status report(const SetResult& set) {
    sets_.push_back(set_json(set));
    QG_CHECK_OK(output_.write(set_row(set)));
    return output_.flush();
  }

  std::size_t errors() const { return errors_; }
  const OrderedJson& sets() const { return sets_; }

 private:
  const Guard& guard_;
  const int threads_;
  Output& output_;
  const bool show_;
  std::size_t errors_ = 0;
  OrderedJson sets_ = OrderedJson::array();
};

Result<int> evaluate(const EvaluateArguments& arguments) {
  std::vector<BenignSet> benign;
  for (const std::string& text : arguments.benign) {
    QG_TRY(BenignSet set, parse_benign(text));
    benign.push_back(std::move(set));
  }
  QG_TRY(const auto index, dataset::read_dataset_index(arguments.data));
  std::vector<dataset::DatasetEntry> entries;
  for (const std::string& name : arguments.sets) {
    QG_TRY(dataset::DatasetEntry entry, dataset::find_dataset(index, name));
    entries.push_back(std::move(entry));
  }
  const bool all = arguments.sets.empty() && benign.empty();
  if (all) entries = index;
  QG_TRY(const std::filesystem::path model, find_model(arguments.guard.model));
  QG_TRY(const Guard guard, load_guard(arguments.guard, 1));

  Output output = Output::standard_output();
  Evaluation evaluation(guard, thread_count(arguments.guard), output);
  QG_CHECK_OK(evaluation.header());
  for (const dataset::DatasetEntry& entry : entries) {
    QG_TRY(const Rows rows, evaluation::test_rows(entry, arguments.limit));
    if (!rows.empty()) {
      QG_CHECK_OK(evaluation.judge(entry.name, rows));
    } else if (!all) {
      return Error{ErrorCode::kInvalidArgument,
                   "set " + entry.name + " has no labelled rows of split test"};
    }
  }
  SetResult together;
  together.name = "benign, together";
  for (const BenignSet& set : benign) {
    QG_TRY(const auto entry, dataset::find_dataset(index, set.name));
    QG_TRY(const Rows rows, evaluation::benign_rows(entry, set.count));
    if (rows.size() < set.count) {
      return Error{ErrorCode::kInvalidArgument,
                   "set " + set.name + " has only " + std::to_string(rows.size()) +
                       " prompts, asked for " + std::to_string(set.count)};
    }
    QG_TRY(const SetResult judged, evaluation.judge("benign " + set.name, rows));
    together.rows += judged.rows;
    together.errors += judged.errors;
    together.strict += judged.strict;
    together.loose += judged.loose;
  }
  if (benign.size() > 1) QG_CHECK_OK(evaluation.report(together));
  QG_CHECK_OK(output.close());

  if (!arguments.output.empty()) {
    OrderedJson report = {
        {"version", 1},
        {"model", model.string()},
        {"gen_method", guard.mode() == Mode::kGen ? OrderedJson(arguments.guard.gen_method)
                                                  : OrderedJson(nullptr)},
        {"weights", arguments.guard.weights},
        {"sets", evaluation.sets()}};
    QG_CHECK_OK(bytes::write_file_atomically(
        arguments.output,
        report.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n"));
  }
  return evaluation.errors() > 0 ? kExitSomeFailed : kExitDone;
}

}  // namespace

void add_evaluate(CLI::App& app, int& status) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Score labelled sets: AUROC, F1, recall, flagged rate");
  command
      ->add_option("--data", arguments->data,
                   "Folder with index.json and the labelled sets, NAME.jsonl or NAME.jsonl.gz")
      ->type_name("DIR")
      ->required();
  command
      ->add_option("--sets", arguments->sets,
                   "Sets whose rows of split test are scored; default: all that have such rows")
      ->delimiter(',')
      ->type_name("NAME,...");
  command
      ->add_option(
          "--benign", arguments->benign,
          "Also the N prompts of a set with the smallest SHA-256 of their id, taken as Safe")
      ->delimiter(',')
      ->type_name("N:NAME,...");
  command
      ->add_option("--limit", arguments->limit,
                   "At most N rows a set, those with the smallest SHA-256 of their id; 0: all")
      ->type_name("N");
  command->add_option("--output", arguments->output, "Also write the figures there, as JSON")
      ->type_name("FILE");
  add_model_option(*command, arguments->guard);
  add_gen_options(*command, arguments->guard);
  add_threads_option(*command, arguments->guard);
  add_weights_option(*command, arguments->guard);
  command->footer(
      "Columns: F1, R(ecall) and % (flagged) are percentages under the strict and the loose "
      "policy. AUROC\n"
      "and strict figures count every label but Safe as positive, loose ones only Unsafe.\n"
      "Example:\n"
      "  qwen3guard evaluate --data DATA --sets toxicchat,cold --benign 3000:benign_alpaca_en \\\n"
      "      --output figures.json\n"
      "Exit status: 0 all judged, 1 some rows failed, 2 could not run.");
  command->callback([arguments, &status] {
    const Result<int> result = evaluate(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
