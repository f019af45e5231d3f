#include "apps/generation_options.h"

#include <utility>

#include "bytes/quote.h"

namespace qwen3guard::apps {

void add_sampling_options(CLI::App& command, GenerateOptions& options) {
  command.add_option("--max-tokens", options.max_tokens, "Tokens of an answer at most")
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--temperature", options.temperature,
                  "0: always the most probable token; more: drawn")
      ->type_name("T")
      ->capture_default_str();
  command
      .add_option("--top-p", options.top_p,
                  "Draw from the most probable tokens that together have P")
      ->type_name("P")
      ->capture_default_str();
  command.add_option("--top-k", options.top_k, "Draw from the K most probable tokens; 0: from all")
      ->type_name("K")
      ->capture_default_str();
  command
      .add_option("--repetition-penalty", options.repetition_penalty,
                  "More than 1 makes tokens of the prompt and the answer less probable")
      ->type_name("X")
      ->capture_default_str();
  command
      .add_option("--seed", options.seed,
                  "The same seed draws the same; line i of a file has seed + i - 1")
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--stop", options.stop,
                  "End the text before this string; may be given several times")
      ->type_name("TEXT")
      ->allow_extra_args(false);
}

Result<Generator> load_generator(const std::filesystem::path& path,
                                 const GeneratorOptions& options) {
  auto generator = Generator::load(path, options);
  if (!generator.ok())
    return std::move(generator).error().with_context("model " + bytes::quote_path(path));
  return generator;
}

}  // namespace qwen3guard::apps
