// qwen3guard moderate: judges one conversation, or millions of them.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/guard_options.h"
#include "apps/line_reader.h"
#include "apps/ordered_pipeline.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/resumable_output.h"
#include "apps/terminal.h"
#include "apps/verdict_text.h"
#include "base/try.h"
#include "bytes/quote.h"
#include "formats/conversation_json.h"
#include "formats/verdict_json.h"

namespace qwen3guard::apps {
namespace {

using formats::ConversationLine;
using formats::error_line;
using formats::parse_conversation_line;
using formats::verdict_line;
using nlohmann::json;

struct ModerateArguments {
  GuardArguments guard;
  std::optional<std::string> prompt;
  std::optional<std::string> response;
  std::string input;
  std::string output;
  bool json = false;
  bool resume = false;
  bool overwrite = false;
};

// A line on its way to the workers, and what became of it.
struct Task {
  json number;  // from 1; stands for an id that the line does not give
  Line line;
};
struct Outcome {
  std::string line;
  std::optional<Risk> risk;  // none: an error
  std::uint64_t input_bytes = 0;
};

ConversationLine parse_line(const Line& line) {
  if (line.too_long) {
    return {std::nullopt, Error{ErrorCode::kTooLong,
                                "the line has " + bytes::byte_count(line.bytes) + ", at most " +
                                    bytes::byte_count(LineReader::kMaxLineBytes) + " are read"}};
  }
  return parse_conversation_line(line.text);
}

Outcome judge(const Guard& guard, const Policy& policy, const Task& task) {
  Outcome outcome;
  outcome.input_bytes = task.line.bytes;
  json id = task.number;
  const auto run = [&]() -> Result<Verdict> {
    ConversationLine line = parse_line(task.line);
    if (line.id) id = std::move(*line.id);
    QG_TRY(const Conversation conversation, std::move(line.conversation));
    return guard.moderate(conversation, policy);
  };
  // One monstrous line must not end a job of millions.
  const auto guarded = [&]() -> Result<Verdict> {
    try {
      return run();
    } catch (const std::exception& failure) {
      return Error{ErrorCode::kTooLong,
                   std::string("not enough memory for this line: ") + failure.what()};
    }
  };
  const Result<Verdict> verdict = guarded();
  if (verdict.ok()) {
    outcome.risk = verdict->risk;
    outcome.line = verdict_line(id, guard, *verdict);
  } else {
    outcome.line = error_line(id, verdict.error());
  }
  outcome.line += '\n';
  return outcome;
}

// Follows the lines of an earlier run's output through the input: same ids, same order.
class ResumePoint {
 public:
  explicit ResumePoint(LineReader& input) : input_(input) {}

  Status accept(const json& written) {
    QG_TRY(const std::optional<Line> line, input_.next());
    if (!line) {
      return Error{
          ErrorCode::kInvalidArgument,
          "the output has more lines than the input, so it is not from this input; name another "
          "--output"};
    }
    ++lines_;
    bytes_ += line->bytes;
    const json expected = parse_line(*line).id.value_or(json(lines_));
    const bool judged =
        written.is_object() && (written.contains("risk") || written.contains("error"));
    if (!judged || !written.contains("id") || written["id"] != expected) {
      return Error{ErrorCode::kInvalidArgument,
                   "expected the result for id " + bytes::quote(expected.dump(), 80) +
                       ", found another line, so this output is not from this input; name another "
                       "--output, or start again with --overwrite"};
    }
    if (const auto risk = written.find("risk"); risk != written.end() && risk->is_string()) {
      if (const auto known = parse_risk(risk->get_ref<const std::string&>())) {
        tally_.count(*known);
        return {};
      }
    }
    ++tally_.errors;
    return {};
  }

  std::uint64_t lines() const { return lines_; }
  std::uint64_t bytes() const { return bytes_; }
  const Tally& tally() const { return tally_; }

 private:
  LineReader& input_;
  std::uint64_t lines_ = 0;
  std::uint64_t bytes_ = 0;
  Tally tally_;
};

Result<int> moderate_file(const ModerateArguments& arguments) {
  QG_TRY(const Policy policy, Policy::load(arguments.guard.policy));
  QG_TRY(LineReader input, LineReader::open(arguments.input));
  if (!arguments.output.empty() && same_file(arguments.input, arguments.output)) {
    return Error{ErrorCode::kInvalidArgument, "input and --output are the same file"};
  }
  // A line keeps one worker busy: several lines at once use several cores better than one line can.
  QG_TRY(const Guard guard, load_guard(arguments.guard, 1));

  ResumePoint resumed(input);
  const auto open = [&]() -> Result<Output> {
    if (arguments.output.empty()) return Output::standard_output();
    const ExistingFile existing = arguments.resume      ? ExistingFile::kResume
                                  : arguments.overwrite ? ExistingFile::kOverwrite
                                                        : ExistingFile::kRefuse;
    return open_output(arguments.output, existing,
                       [&](const json& line) { return resumed.accept(line); });
  };
  QG_TRY(Output output, open());

  // Results that scroll by on the same terminal are progress enough.
  const bool visible =
      ::isatty(STDERR_FILENO) == 1 && !(arguments.output.empty() && ::isatty(STDOUT_FILENO) == 1);
  Progress progress(visible, input.total_bytes());
  Tally tally = resumed.tally();
  std::uint64_t done_bytes = resumed.bytes();
  progress.start(tally, done_bytes);

  OrderedPipeline<Task, Outcome> pipeline(
      thread_count(arguments.guard), {},
      [&](const Task& task) { return judge(guard, policy, task); },
      [&](const Outcome& outcome, bool idle) -> Status {
        QG_CHECK_OK(output.write(outcome.line));
        if (idle) QG_CHECK_OK(output.flush());
        if (outcome.risk) {
          tally.count(*outcome.risk);
        } else {
          ++tally.errors;
        }
        done_bytes += outcome.input_bytes;
        progress.update(tally, done_bytes);
        return {};
      });
  Status read;
  for (std::uint64_t number = resumed.lines() + 1;; ++number) {
    auto line = input.next();
    if (!line.ok()) {
      read = std::move(line).error();
      break;
    }
    if (!*line) break;
    const std::size_t bytes = (*line)->text.size();
    if (!pipeline.submit({json(number), std::move(**line)}, bytes)) break;
  }
  const Status written = pipeline.finish();
  progress.finish(tally, done_bytes);
  QG_CHECK_OK(written);
  QG_CHECK_OK(output.close());
  QG_CHECK_OK(read);
  return tally.errors > 0 ? kExitSomeFailed : kExitDone;
}

Result<int> moderate_one(const ModerateArguments& arguments) {
  QG_TRY(const Policy policy, Policy::load(arguments.guard.policy));
  QG_TRY(const Guard guard, load_guard(arguments.guard, arguments.guard.threads));
  Conversation conversation = {{Role::kUser, *arguments.prompt}};
  if (arguments.response) conversation.push_back({Role::kAssistant, *arguments.response});
  const Result<Verdict> verdict = guard.moderate(conversation, policy);

  Output output = Output::standard_output();
  if (arguments.json) {
    const json id = 1;
    QG_CHECK_OK(output.write(verdict.ok() ? verdict_line(id, guard, *verdict)
                                          : error_line(id, verdict.error())));
    QG_CHECK_OK(output.write("\n"));
  } else if (verdict.ok()) {
    const Palette palette(wants_colour(STDOUT_FILENO, ColourChoice::kAuto));
    QG_CHECK_OK(output.write(
        verdict_screen(palette, guard, *verdict, policy.name(), conversation.back().content)));
  } else {
    print_error(verdict.error());
  }
  QG_CHECK_OK(output.close());
  return verdict.ok() ? kExitDone : kExitSomeFailed;
}

Result<int> moderate(const ModerateArguments& arguments) {
  const auto usage = [](const char* message) {
    return Error{ErrorCode::kInvalidArgument, message};
  };
  if (arguments.response && !arguments.prompt) return usage("--response needs --prompt");
  if (arguments.prompt && !arguments.input.empty()) {
    return usage("give either --prompt or a file, not both");
  }
  if (arguments.resume && arguments.overwrite)
    return usage("give --resume or --overwrite, not both");
  if (arguments.output.empty() && (arguments.resume || arguments.overwrite)) {
    return usage("--resume and --overwrite need --output FILE");
  }
  if (arguments.prompt) {
    if (!arguments.output.empty())
      return usage("--output goes with a file of conversations, not with --prompt");
    return moderate_one(arguments);
  }
  if (arguments.input.empty()) {
    return usage("nothing to judge: give --prompt TEXT, a FILE.jsonl, or - for standard input");
  }
  return moderate_file(arguments);
}

}  // namespace

void add_moderate(CLI::App& app, int& status) {
  auto arguments = std::make_shared<ModerateArguments>();
  CLI::App* command = app.add_subcommand("moderate", "Judge one conversation, or a file of them");
  command
      ->add_option(
          "input", arguments->input,
          "JSONL, one conversation a line: {\"id\"?, \"messages\": [{\"role\", \"content\"}]}; "
          "- reads standard input. The last message's role decides what is judged")
      ->type_name("FILE.jsonl|-");
  command->add_option("--prompt", arguments->prompt, "Judge this prompt")->type_name("TEXT");
  command->add_option("--response", arguments->response, "Judge this answer to --prompt")
      ->type_name("TEXT");
  command->add_flag(
      "--json", arguments->json,
      "With --prompt: one line of JSON instead of a screen (files always give JSONL)");
  command
      ->add_option("--output", arguments->output,
                   "Write the JSONL there instead of standard output")
      ->type_name("FILE");
  command->add_flag("--resume", arguments->resume,
                    "Continue an --output that an earlier run left unfinished");
  command->add_flag("--overwrite", arguments->overwrite, "Replace an --output that exists");
  add_model_option(*command, arguments->guard);
  add_policy_option(*command, arguments->guard);
  add_gen_options(*command, arguments->guard);
  add_overflow_option(*command, arguments->guard);
  add_threads_option(*command, arguments->guard);
  add_weights_option(*command, arguments->guard);
  command->footer(
      "Examples:\n"
      "  qwen3guard moderate --prompt 'How do I whittle a spoon?'\n"
      "  qwen3guard moderate --prompt Hi --response 'Hello!' --policy loose --json\n"
      "  qwen3guard moderate chats.jsonl --output verdicts.jsonl\n"
      "  qwen3guard moderate chats.jsonl --output verdicts.jsonl --resume\n"
      "  zcat chats.jsonl.gz | qwen3guard moderate - > verdicts.jsonl\n"
      "Exit status: 0 all judged, 1 some lines failed (each is reported in its place), 2 could not "
      "run.");
  command->callback([arguments, &status] {
    const Result<int> result = moderate(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
