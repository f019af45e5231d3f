// qwen3guard stream: judges a response while it is being written.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "apps/commands.h"
#include "apps/demo.h"
#include "apps/exit_status.h"
#include "apps/guard_options.h"
#include "apps/output.h"
#include "apps/stream_feed.h"
#include "apps/stream_view.h"
#include "apps/terminal.h"
#include "base/try.h"

namespace qwen3guard::apps {
namespace {

struct StreamArguments {
  GuardArguments guard;
  std::string prompt;
  std::string colour = "auto";
  bool json = false;
  bool stop = false;
  bool demo = false;
  std::optional<int> pace;
};

// Standard input as it arrives, until it ends or the feed stops.
Status feed_input(StreamFeed& feed, std::optional<Error>& unreadable) {
  std::array<char, 16384> chunk;
  while (!feed.stopped()) {
    const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      unreadable = Error{ErrorCode::kIo,
                         "cannot read standard input: " + std::generic_category().message(errno)};
      return *unreadable;
    }
    if (got == 0) return feed.finish();
    QG_CHECK_OK(feed.append({chunk.data(), static_cast<std::size_t>(got)}));
  }
  return {};
}

Result<int> judge_input(const StreamArguments& arguments, const Guard& guard, const Policy& policy,
                        Output& output, Palette palette) {
  const auto view = arguments.json ? json_view(output, guard) : text_view(output, guard, palette);
  auto session = guard.open({{Role::kUser, arguments.prompt}}, policy);
  if (!session.ok()) {
    QG_CHECK_OK(view->failed(session.error()));
    print_error(session.error());
    return kExitSomeFailed;
  }
  if (!arguments.prompt.empty()) QG_CHECK_OK(view->prompt(arguments.prompt, session->prompt()));
  StreamFeed feed(*session, *view, arguments.stop);
  std::optional<Error> unreadable;
  if (const Status fed = feed_input(feed, unreadable); !fed.ok()) {
    if (feed.view_failed()) return fed.error();
    QG_CHECK_OK(view->failed(fed.error()));
    if (unreadable) return *unreadable;
    print_error(fed.error());
    return kExitSomeFailed;
  }
  QG_CHECK_OK(view->end(session->prompt(), session->response(), feed.stopped()));
  QG_CHECK_OK(output.close());
  return kExitDone;
}

Result<int> stream(const StreamArguments& arguments) {
  if (arguments.demo && (arguments.json || arguments.stop || !arguments.prompt.empty())) {
    return Error{ErrorCode::kInvalidArgument,
                 "--demo shows built-in conversations: leave --prompt, --json "
                 "and --stop out"};
  }
  QG_TRY(const Policy policy, Policy::load(arguments.guard.policy));
  QG_TRY(const Guard guard, load_guard(arguments.guard, arguments.guard.threads));
  if (guard.mode() != Mode::kStream) {
    return Error{ErrorCode::kUnsupported,
                 "stream needs a Stream model; a Gen model judges whole "
                 "conversations: use qwen3guard moderate"};
  }
  const Palette palette(wants_colour(STDOUT_FILENO, colour_choice(arguments.colour)));
  Output output = Output::standard_output();
  if (!arguments.demo) return judge_input(arguments, guard, policy, output, palette);

  std::optional<int> pace = arguments.pace;
  if (!pace && ::isatty(STDOUT_FILENO) != 1) pace = 0;
  QG_CHECK_OK(run_demo(guard, policy, output, palette, pace));
  return kExitDone;
}

}  // namespace

void add_stream(CLI::App& app, int& status) {
  auto arguments = std::make_shared<StreamArguments>();
  CLI::App* command = app.add_subcommand(
      "stream", "Judge a response from standard input, token by token, as it arrives");
  add_model_option(*command, arguments->guard);
  command->add_option("--prompt", arguments->prompt, "The user's message that the response answers")
      ->type_name("TEXT");
  add_policy_option(*command, arguments->guard);
  command->add_flag("--json", arguments->json, "One JSON object a token instead of coloured text");
  command->add_flag("--stop", arguments->stop,
                    "End at the first flag that blocks; text from there on is not shown");
  add_overflow_option(*command, arguments->guard);
  add_threads_option(*command, arguments->guard);
  add_weights_option(*command, arguments->guard);
  add_colour_option(*command, arguments->colour);
  command->add_flag("--demo", arguments->demo, "Show a handful of built-in conversations");
  command
      ->add_option("--pace", arguments->pace,
                   "With --demo: milliseconds between words; 0: as fast as they are judged")
      ->check(CLI::Range(0, 60000))
      ->type_name("MS");
  command->footer(
      "Examples:\n"
      "  qwen3guard stream --demo\n"
      "  my-chatbot | qwen3guard stream --prompt 'How do I whittle a spoon?'\n"
      "  my-chatbot | qwen3guard stream --stop --json\n"
      "Exit status: 0 judged (whatever the verdict), 1 the response could not be judged, 2 could "
      "not run.");
  command->callback([arguments, &status] {
    const Result<int> result = stream(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
