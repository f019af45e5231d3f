// qwen3guard intervene: a model writes, the guard reads with it, and what is flagged is written
// anew.
#include <unistd.h>

#include <chrono>
#include <cstdio>
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
#include "apps/intervention_figures.h"
#include "apps/intervention_view.h"
#include "apps/line_reader.h"
#include "apps/output.h"
#include "base/try.h"
#include "bytes/quote.h"
#include "qwen3guard/intervention.h"

namespace qwen3guard::apps {
namespace {

struct InterveneArguments {
  GuardArguments guard;
  std::string generator;
  std::string judge;
  InterventionOptions intervention;
  // CARE's sampling.
  GenerateOptions options = {
      .temperature = 0.7f, .top_p = 0.8f, .top_k = 20, .repetition_penalty = 1.05f};
  std::string strategy = "introspect";
  std::string then = "stop";
  std::string format = "no-thinking";
  std::optional<std::string> prompt;
  std::string input;
  std::string colour = "auto";
  bool json = false;
  bool compare = false;
};

// A row of the table: how answers are written.
struct Run {
  std::string name;
  InterventionOptions options;
};

// With --compare the first row is what the model writes without a guard in its way.
std::vector<Run> runs(const InterveneArguments& arguments) {
  const auto run = [&](Strategy strategy) {
    Run result{std::string(strategy_name(strategy)), arguments.intervention};
    result.options.strategy = strategy;
    return result;
  };
  if (!arguments.compare) return {run(arguments.intervention.strategy)};
  Run unguarded = run(Strategy::kIntrospect);
  unguarded.name = "none";
  unguarded.options.retries = 0;
  unguarded.options.then = LastResort::kProceed;
  return {std::move(unguarded), run(Strategy::kStop), run(Strategy::kResample),
          run(Strategy::kIntrospect)};
}

struct Models {
  Generator generator;
  Guard guard;
  Guard judge;
  Policy policy;
};

Result<Models> load_models(const InterveneArguments& arguments) {
  QG_TRY(Policy policy, Policy::load(arguments.guard.policy));
  QG_TRY(Guard guard, load_guard(arguments.guard, arguments.guard.threads));
  if (guard.mode() != Mode::kStream) {
    return Error{ErrorCode::kUnsupported,
                 "intervene needs a Stream model as the guard, which judges token by token; a Gen "
                 "model can be the --judge"};
  }
  Guard judge = guard;
  if (!arguments.judge.empty()) {
    GuardArguments other = arguments.guard;
    other.model = arguments.judge;
    QG_TRY(judge, load_guard(other, other.threads));
  }
  QG_TRY(Generator generator,
         load_generator(arguments.generator, {.threads = arguments.guard.threads,
                                              .weights = weight_format(arguments.guard)}));
  return Models{std::move(generator), std::move(guard), std::move(judge), std::move(policy)};
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<int> intervene_one(const InterveneArguments& arguments) {
  QG_TRY(const Models models, load_models(arguments));
  const Conversation conversation = {{Role::kUser, *arguments.prompt}};
  const Intervention intervention(models.generator, models.guard, models.policy,
                                  arguments.intervention);
  Output output = Output::standard_output();
  InterventionRecord record(models.guard);
  InterventionText text(output, models.guard,
                        Palette(wants_colour(STDOUT_FILENO, colour_choice(arguments.colour))));
  const auto start = Clock::now();
  const auto answer =
      intervention.respond(conversation, arguments.options,
                           arguments.json ? static_cast<InterventionObserver*>(&record) : &text);
  const double seconds = seconds_since(start);
  if (arguments.json) {
    const std::string_view strategy = strategy_name(arguments.intervention.strategy);
    QG_CHECK_OK(output.write((answer.ok() ? record.line(1, strategy, *answer)
                                          : failed_line(1, strategy, answer.error())) +
                             "\n"));
  } else {
    QG_CHECK_OK(answer.ok() ? text.end(*answer, seconds) : text.failed());
  }
  QG_CHECK_OK(output.close());
  if (!answer.ok() && !arguments.json) print_error(answer.error());
  return answer.ok() ? kExitDone : kExitSomeFailed;
}

struct Prompt {
  nlohmann::json id;
  Result<Conversation> conversation;
};

Result<std::vector<Prompt>> read_prompts(const std::string& path) {
  QG_TRY(LineReader input, LineReader::open(path));
  std::vector<Prompt> prompts;
  for (;;) {
    QG_TRY(const std::optional<Line> line, input.next());
    if (!line) return prompts;
    formats::ConversationLine parsed = parse_conversation_line(*line);
    prompts.push_back(
        {parsed.id.value_or(nlohmann::json(prompts.size() + 1)), std::move(parsed.conversation)});
  }
}

// Answers prompts in one way; with --json gives a line for each.
class StrategyRun {
 public:
  StrategyRun(const InterveneArguments& arguments, const Models& models, const Run& run,
              Output& output)
      : arguments_(arguments),
        models_(models),
        name_(run.name),
        intervention_(models.generator, models.guard, models.policy, run.options),
        output_(output),
        figures_(run.name) {}

  Status answer(const Prompt& prompt, std::size_t number) {
    InterventionRecord record(models_.guard);
    const auto answered = respond(prompt, number, record);
    if (!answered.ok()) {
      if (figures_.errors() == 0)
        print_error(Error(answered.error()).with_context(name_ + ", id " + prompt.id.dump()));
      figures_.count_error();
    }
    if (!arguments_.json) return {};
    return output_.write((answered.ok() ? record.line(prompt.id, name_, *answered)
                                        : failed_line(prompt.id, name_, answered.error())) +
                         "\n");
  }

  const StrategyFigures& figures() const { return figures_; }

 private:
  Result<GuardedAnswer> respond(const Prompt& prompt, std::size_t number,
                                InterventionObserver& observer) {
    QG_TRY(Conversation conversation, prompt.conversation);
    GenerateOptions options = arguments_.options;
    options.seed += number;
    const auto start = Clock::now();
    QG_TRY(GuardedAnswer answer, intervention_.respond(conversation, options, &observer));
    const double seconds = seconds_since(start);
    conversation.push_back({Role::kAssistant, answer.text, std::nullopt});
    QG_TRY(const Verdict whole, models_.judge.moderate(conversation, models_.policy));
    figures_.count(answer, whole.decision != Decision::kBlock, seconds);
    return answer;
  }

  const InterveneArguments& arguments_;
  const Models& models_;
  const std::string name_;
  const Intervention intervention_;
  Output& output_;
  StrategyFigures figures_;
};

// Prompt by prompt, so that what else the machine does slows no strategy more than the others.
Result<int> intervene_file(const InterveneArguments& arguments) {
  QG_TRY(const std::vector<Prompt> prompts, read_prompts(arguments.input));
  QG_TRY(const Models models, load_models(arguments));
  Output output = Output::standard_output();
  std::vector<StrategyRun> all;
  for (const Run& run : runs(arguments)) all.emplace_back(arguments, models, run, output);
  const bool progress = ::isatty(STDERR_FILENO) == 1;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (progress) std::fprintf(stderr, "\r\x1b[K%zu of %zu", i, prompts.size());
    for (StrategyRun& run : all) QG_CHECK_OK(run.answer(prompts[i], i));
    QG_CHECK_OK(output.flush());
  }
  if (progress) std::fputs("\r\x1b[K", stderr);

  int status = kExitDone;
  if (!arguments.json) QG_CHECK_OK(output.write(figures_header()));
  for (const StrategyRun& run : all) {
    const StrategyFigures& figures = run.figures();
    if (figures.errors() > 0) status = kExitSomeFailed;
    QG_CHECK_OK(
        output.write(arguments.json ? formats::to_line(figures.json()) + "\n" : figures.row()));
  }
  QG_CHECK_OK(output.close());
  return status;
}

Result<int> intervene(InterveneArguments arguments) {
  const auto usage = [](const char* message) {
    return Error{ErrorCode::kInvalidArgument, message};
  };
  if (arguments.prompt && !arguments.input.empty())
    return usage("give either --prompt or a file, not both");
  if (!arguments.prompt && arguments.input.empty())
    return usage("nothing to answer: give --prompt TEXT, a FILE.jsonl, or - for standard input");
  if (arguments.prompt && (arguments.compare || !arguments.judge.empty()))
    return usage("--compare and --judge are for a file of prompts");
  arguments.intervention.strategy = arguments.strategy == "stop"       ? Strategy::kStop
                                    : arguments.strategy == "resample" ? Strategy::kResample
                                                                       : Strategy::kIntrospect;
  arguments.intervention.then = arguments.then == "replace"   ? LastResort::kReplace
                                : arguments.then == "proceed" ? LastResort::kProceed
                                                              : LastResort::kStop;
  arguments.options.prompt =
      arguments.format == "chat" ? PromptFormat::kChat : PromptFormat::kChatNoThinking;
  return arguments.prompt ? intervene_one(arguments) : intervene_file(arguments);
}

void add_intervention_options(CLI::App& command, InterveneArguments& arguments) {
  InterventionOptions& options = arguments.intervention;
  command
      .add_option("--strategy", arguments.strategy,
                  "On a flag: stop; resample, roll back and draw again; introspect, roll back and "
                  "go on from the model's own criticism")
      ->check(CLI::IsMember({"stop", "resample", "introspect"}))
      ->type_name("stop|resample|introspect")
      ->capture_default_str();
  command
      .add_option("--buffer", options.buffer,
                  "The newest tokens, which are not released yet; what a flag takes back")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--retries", options.retries, "Retries in one answer at most")
      ->check(CLI::Range(0, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--then", arguments.then,
                  "When they are used up: stop, end with a replacement, or proceed unhindered")
      ->check(CLI::IsMember({"stop", "replace", "proceed"}))
      ->type_name("stop|replace|proceed")
      ->capture_default_str();
  command
      .add_option("--replacement", options.replacement, "What --then replace ends the answer with")
      ->type_name("TEXT")
      ->capture_default_str();
}

}  // namespace

void add_intervene(CLI::App& app, int& status) {
  auto arguments = std::make_shared<InterveneArguments>();
  CLI::App* command = app.add_subcommand(
      "intervene",
      "Write with a causal LM under a guard: what is flagged is rolled back and written anew");
  command
      ->add_option("input", arguments->input,
                   "JSONL, one conversation a line, as for moderate; gives a table. - reads "
                   "standard input")
      ->type_name("FILE.jsonl|-");
  command->add_option("--prompt", arguments->prompt, "Answer this")->type_name("TEXT");
  command
      ->add_option("--generator", arguments->generator,
                   "The model that writes: checkpoint directory (Qwen3ForCausalLM) or .gguf file")
      ->type_name("DIR|FILE")
      ->required();
  add_model_option(*command, arguments->guard);
  add_policy_option(*command, arguments->guard);
  add_intervention_options(*command, *arguments);
  command->add_flag("--compare", arguments->compare,
                    "A row for each strategy, and one for no intervention");
  command
      ->add_option("--judge", arguments->judge,
                   "The guard, Stream or Gen, by which the safety rate is judged; default: the "
                   "same")
      ->type_name("DIR|FILE");
  command->add_flag("--json", arguments->json,
                    "A line of JSON for each answer, and for each row of the table");
  command
      ->add_option("--format", arguments->format,
                   "What the model reads: chat (ChatML), no-thinking (the same with an empty "
                   "thought)")
      ->check(CLI::IsMember({"chat", "no-thinking"}))
      ->type_name("chat|no-thinking")
      ->capture_default_str();
  add_sampling_options(*command, arguments->options);
  add_colour_option(*command, arguments->colour);
  add_overflow_option(*command, arguments->guard);
  add_threads_option(*command, arguments->guard);
  add_weights_option(*command, arguments->guard);
  command->footer(
      "Columns: % safe, of released texts, judged anew; wait, tokens by CARE's b(r+1), and "
      "wait-first\n"
      "without the first buffer; retries, mean; released, mean tokens; tokens/s, all that were "
      "written.\n"
      "Examples:\n"
      "  qwen3guard intervene --generator Qwen3-0.6B --prompt 'How do I whittle a spoon?'\n"
      "  qwen3guard intervene --generator Qwen3-0.6B prompts.jsonl --compare --then proceed\n"
      "Exit status: 0 all answered, 1 some failed, 2 could not run. docs/intervention.md says "
      "more.");
  command->callback([arguments, &status] {
    const Result<int> result = intervene(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
