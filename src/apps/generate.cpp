// qwen3guard generate: writes the answer to one conversation, or to a file of them.
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/generation_options.h"
#include "apps/guard_options.h"
#include "apps/line_reader.h"
#include "apps/output.h"
#include "apps/terminal.h"
#include "base/try.h"
#include "formats/verdict_json.h"
#include "qwen3guard/generator.h"

namespace qwen3guard::apps {
namespace {

using formats::ConversationLine;
using formats::error_line;
using formats::OrderedJson;
using formats::shortest;
using formats::to_line;
using nlohmann::json;

// Lines that are read ahead, in batches: as answers end, the next lines take their places.
constexpr std::size_t kBatchesAhead = 4;

struct GenerateArguments {
  GuardArguments guard;
  GenerateOptions options;
  std::optional<std::size_t> logprobs;
  std::string format = "chat";
  std::size_t batch = GeneratorOptions{}.batch;
  std::optional<std::string> prompt;
  std::string input;
  bool json = false;
};

OrderedJson token_json(const GeneratedToken& token) {
  OrderedJson object = {
      {"id", token.id}, {"text", token.text}, {"logprob", shortest(token.logprob)}};
  if (token.top.empty()) return object;
  object["top"] = OrderedJson::array();
  for (const TokenLogprob& other : token.top)
    object["top"].push_back({{"id", other.id}, {"logprob", shortest(other.logprob)}});
  return object;
}

std::string answer_line(const json& id, const Generated& answer, bool logprobs) {
  OrderedJson object = {{"id", id},
                        {"text", answer.text},
                        {"finish", finish_reason_name(answer.finish)},
                        {"prompt_tokens", answer.prompt_tokens},
                        {"answer_tokens", answer.tokens.size()}};
  if (logprobs) {
    object["tokens"] = OrderedJson::array();
    for (const GeneratedToken& token : answer.tokens) object["tokens"].push_back(token_json(token));
  }
  return to_line(object);
}

std::string result_line(const json& id, const Result<Generated>& answer, bool logprobs) {
  return answer.ok() ? answer_line(id, *answer, logprobs) : error_line(id, answer.error());
}

Result<Generator> load_for_generate(const GenerateArguments& arguments) {
  QG_TRY(const auto path, find_model(arguments.guard.model));
  return load_generator(path, {.threads = arguments.guard.threads,
                               .weights = weight_format(arguments.guard),
                               .batch = arguments.batch});
}

// Lines that are answered together, and what each has come to.
struct Group {
  std::vector<json> ids;
  std::vector<std::optional<Error>> errors;
  std::vector<GenerateRequest> requests;  // of those without an error
  Status read;                            // of the input after them
};

// Takes at least one line, then what can be read without waiting: whoever writes lines one by one
// gets each answered. No line at the end.
Group read_group(LineReader& input, const GenerateArguments& arguments, std::uint64_t& number) {
  Group group;
  while (group.ids.size() < kBatchesAhead * arguments.batch &&
         (group.ids.empty() || input.ready())) {
    const auto line = input.next();
    if (!line.ok()) group.read = line.error();
    if (!line.ok() || !*line) break;
    ConversationLine parsed = parse_conversation_line(**line);
    group.ids.push_back(parsed.id.value_or(json(number + 1)));
    group.errors.emplace_back();
    if (parsed.conversation.ok()) {
      GenerateOptions options = arguments.options;
      options.seed += number;
      group.requests.push_back({std::move(parsed.conversation).value(), std::move(options)});
    } else {
      group.errors.back() = std::move(parsed.conversation).error();
    }
    ++number;
  }
  return group;
}

Result<int> generate_file(const GenerateArguments& arguments) {
  QG_TRY(LineReader input, LineReader::open(arguments.input));
  QG_TRY(const Generator generator, load_for_generate(arguments));
  Output output = Output::standard_output();
  int status = kExitDone;
  for (std::uint64_t number = 0;;) {
    const Group group = read_group(input, arguments, number);
    const std::vector<Result<Generated>> answers = generator.generate(group.requests);
    auto answer = answers.begin();
    for (std::size_t i = 0; i < group.ids.size(); ++i) {
      const Result<Generated> result =
          group.errors[i] ? Result<Generated>(*group.errors[i]) : *answer++;
      if (!result.ok()) status = kExitSomeFailed;
      QG_CHECK_OK(
          output.write(result_line(group.ids[i], result, arguments.logprobs.has_value()) + "\n"));
    }
    QG_CHECK_OK(output.flush());
    QG_CHECK_OK(group.read);
    if (group.ids.empty()) break;
  }
  QG_CHECK_OK(output.close());
  return status;
}

// Shows the text as it is written. What a model writes must not act on the terminal.
Result<int> generate_text(const Generator& generator, const Conversation& conversation,
                          const GenerateOptions& options, Output& output) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  auto generation = generator.open(conversation, options);
  if (!generation.ok()) {
    print_error(generation.error());
    return kExitSomeFailed;
  }
  Status status;
  while (status.ok() && !generation->finished()) {
    const Result<GeneratedToken> token = generation->next();
    if (token.ok()) {
      QG_CHECK_OK(output.write(terminal ? escape_controls(token->text) : token->text));
      QG_CHECK_OK(output.flush());
    } else {
      status = token.error();
    }
  }
  QG_CHECK_OK(output.write("\n"));
  QG_CHECK_OK(output.close());
  if (!status.ok()) print_error(status.error());
  return status.ok() ? kExitDone : kExitSomeFailed;
}

Result<int> generate_one(const GenerateArguments& arguments) {
  QG_TRY(const Generator generator, load_for_generate(arguments));
  const Conversation conversation = {{Role::kUser, *arguments.prompt}};
  Output output = Output::standard_output();
  if (!arguments.json) return generate_text(generator, conversation, arguments.options, output);
  const Result<Generated> answer = generator.generate(conversation, arguments.options);
  QG_CHECK_OK(output.write(result_line(1, answer, arguments.logprobs.has_value()) + "\n"));
  QG_CHECK_OK(output.close());
  return answer.ok() ? kExitDone : kExitSomeFailed;
}

Result<int> generate(GenerateArguments arguments) {
  const auto usage = [](const char* message) {
    return Error{ErrorCode::kInvalidArgument, message};
  };
  if (arguments.prompt && !arguments.input.empty())
    return usage("give either --prompt or a file, not both");
  if (!arguments.prompt && arguments.input.empty())
    return usage("nothing to answer: give --prompt TEXT, a FILE.jsonl, or - for standard input");
  if (arguments.prompt && arguments.logprobs && !arguments.json)
    return usage("--logprobs with --prompt needs --json");
  arguments.options.logprobs = arguments.logprobs.value_or(0);
  arguments.options.prompt = arguments.format == "guard"         ? PromptFormat::kGuard
                             : arguments.format == "no-thinking" ? PromptFormat::kChatNoThinking
                                                                 : PromptFormat::kChat;
  return arguments.prompt ? generate_one(arguments) : generate_file(arguments);
}

}  // namespace

void add_generate(CLI::App& app, int& status) {
  auto arguments = std::make_shared<GenerateArguments>();
  CLI::App* command = app.add_subcommand(
      "generate", "Write the answer to one conversation, or to a file of them, with a causal LM");
  command
      ->add_option("input", arguments->input,
                   "JSONL, one conversation a line, as for moderate; - reads standard input")
      ->type_name("FILE.jsonl|-");
  command->add_option("--prompt", arguments->prompt, "Answer this")->type_name("TEXT");
  command->add_flag("--json", arguments->json,
                    "With --prompt: one line of JSON at the end instead of the text as it is "
                    "written (files always give JSONL)");
  command
      ->add_option("--model", arguments->guard.model,
                   "Checkpoint directory as published (Qwen3ForCausalLM) or .gguf file. Default: "
                   "$QWEN3GUARD_MODEL")
      ->type_name("DIR|FILE");
  command
      ->add_option("--format", arguments->format,
                   "What the model reads: chat (ChatML), no-thinking (the same with an empty "
                   "thought), guard (the question of the Qwen3Guard-Gen models)")
      ->check(CLI::IsMember({"chat", "no-thinking", "guard"}))
      ->type_name("chat|no-thinking|guard")
      ->capture_default_str();
  add_sampling_options(*command, arguments->options);
  command
      ->add_option("--logprobs", arguments->logprobs,
                   "In JSON, list the answer's tokens with their log-probabilities, and those of "
                   "the N most probable ones")
      ->type_name("N");
  command->add_option("--batch", arguments->batch, "Answers of a file that are written at a time")
      ->check(CLI::Range(1, 4096))
      ->type_name("N")
      ->capture_default_str();
  add_threads_option(*command, arguments->guard);
  add_weights_option(*command, arguments->guard);
  command->footer(
      "Examples:\n"
      "  qwen3guard generate --model Qwen3-0.6B --prompt 'How do I whittle a spoon?'\n"
      "  qwen3guard generate --model Qwen3-0.6B chats.jsonl --temperature 0.7 --top-p 0.8 > "
      "answers.jsonl\n"
      "  qwen3guard generate --model Qwen3Guard-Gen-0.6B --format guard --prompt Hi\n"
      "Exit status: 0 all answered, 1 some lines failed (each is reported in its place), 2 could "
      "not run.");
  command->callback([arguments, &status] {
    const Result<int> result = generate(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
