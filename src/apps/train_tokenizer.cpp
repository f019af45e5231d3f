#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/train_commands.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/json.h"
#include "dataset/dataset_index.h"
#include "dataset/selection.h"
#include "dataset/tokenizer_trim.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::apps {
namespace {

struct Options {
  std::vector<std::filesystem::path> data;
  std::filesystem::path base, out;
  std::size_t size = 16384;
  std::size_t max_bytes = 4500;
  dataset::SetFilter filter;
};

/// Long rows count with their start only: one book must not outvote a thousand questions.
std::string_view head(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

Status trim(const Options& options) {
  QG_TRY(const nlohmann::json base, bytes::read_json(options.base));
  QG_TRY(const auto tokenizer, tokens::Tokenizer::parse(base.dump()));
  QG_TRY(const auto index, dataset::read_dataset_indexes(options.data));
  std::map<int, double> frequency;
  std::size_t rows = 0;
  for (const auto& entry : dataset::select_sets(index, options.filter)) {
    if (isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\rcounting %-32s\r", entry.name.c_str());
    const double weight =
        1.0 / std::sqrt(static_cast<double>(std::max<std::size_t>(1, entry.rows)));
    std::map<int, std::size_t> counts;
    QG_CHECK_OK(dataset::read_dataset(entry, [&](dataset::LabelledConversation row) -> Status {
      if (row.split != dataset::Split::kTrain) return {};
      std::string text;
      for (const auto& message : row.messages) text += (text.empty() ? "" : " ") + message.content;
      QG_TRY(const auto encoding, tokenizer->encode(head(text, options.max_bytes), false));
      for (const auto id : encoding.ids) ++counts[id];
      ++rows;
      return {};
    }));
    for (const auto& [id, count] : counts) frequency[id] += weight * static_cast<double>(count);
  }
  dataset::TrimOptions trim;
  trim.vocabulary_size = options.size;
  QG_TRY(const nlohmann::json trimmed, dataset::trim_tokenizer(base, frequency, trim));
  std::error_code failure;
  std::filesystem::create_directories(options.out, failure);
  const std::string text = trimmed.dump();
  QG_CHECK_OK(bytes::write_file_atomically(options.out / "tokenizer.json", text));
  std::fprintf(stderr, "%zu rows counted; %zu tokens and %zu merges, %.2f MB: %s\n", rows,
               trimmed["model"]["vocab"].size() + trimmed["added_tokens"].size(),
               trimmed["model"]["merges"].size(), static_cast<double>(text.size()) / 1e6,
               (options.out / "tokenizer.json").c_str());
  return {};
}

}  // namespace

void add_tokenizer_command(CLI::App& app, Command& run) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "tokenizer", "Trim a Qwen3 tokenizer.json to the tokens that the training text uses");
  command
      ->add_option("--data", options->data,
                   "Folder of labelled sets with index.json; may be given more than once")
      ->required();
  command->add_option("--base", options->base, "The full tokenizer.json")->required();
  command->add_option("--out", options->out, "Folder for the trimmed tokenizer.json")->required();
  command->add_option("--size", options->size, "Vocabulary size, added tokens included")
      ->capture_default_str();
  command->add_option("--licences", options->filter.licence_classes, "Licence classes to count")
      ->capture_default_str();
  command->callback([options, &run] { run = [options] { return trim(*options); }; });
}

}  // namespace qwen3guard::apps
