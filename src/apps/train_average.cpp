#include <memory>

#include "apps/train_commands.h"
#include "base/try.h"
#include "bytes/quote.h"
#include "training/average.h"

namespace qwen3guard::apps {
namespace {

struct Options {
  std::vector<std::string> checkpoints;
  std::filesystem::path out;
};

Status average(const Options& options) {
  std::vector<training::WeighedCheckpoint> checkpoints;
  for (const std::string& text : options.checkpoints) {
    const auto at = text.rfind('=');
    double weight = 0;
    if (at == std::string::npos || !CLI::detail::lexical_cast(text.substr(at + 1), weight)) {
      return Error{
          ErrorCode::kInvalidArgument,
          "checkpoint " + bytes::quote(text) + ": expected DIR=WEIGHT, such as runs/a/final=0.8"};
    }
    checkpoints.push_back({text.substr(0, at), weight});
  }
  return training::average_checkpoints(checkpoints, options.out);
}

}  // namespace

void add_average_command(CLI::App& app, Command& run) {
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("average", "Average the weights of checkpoints that share their history");
  command->add_option("checkpoints", options->checkpoints, "Each with what it counts")
      ->type_name("DIR=WEIGHT")
      ->required();
  command->add_option("--out", options->out, "Folder for the result")->required();
  command->callback([options, &run] { run = [options] { return average(*options); }; });
}

}  // namespace qwen3guard::apps
