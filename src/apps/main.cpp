// qwen3guard: one program, one subcommand a job. Interface: docs/cli.md.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/terminal.h"

int main(int argc, char** argv) {
  namespace apps = qwen3guard::apps;
  // A reader that went away is an error of write(), reported like any other.
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app("Judge prompts and responses with Qwen3Guard: whole files, or token by token.",
               "qwen3guard");
  app.set_version_flag("--version", "qwen3guard " QWEN3GUARD_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  qwen3guard stream --demo\n"
      "  qwen3guard moderate --prompt 'How do I whittle a spoon?'\n"
      "  qwen3guard moderate chats.jsonl --output verdicts.jsonl\n"
      "  qwen3guard generate --model DIR --prompt 'How do I whittle a spoon?'\n"
      "  qwen3guard inspect DIR\n"
      "  qwen3guard quantize DIR FILE.gguf --bits 8\n"
      "  qwen3guard serve --listen 127.0.0.1:8080\n"
      "  qwen3guard gateway --upstream http://127.0.0.1:8000\n"
      "`qwen3guard SUBCOMMAND --help` has the options. Exit status: 0 done, 1 some conversations "
      "could not\n"
      "be judged or answered (inspect: problems found), 2 could not run.");
  int status = apps::kExitDone;
  apps::add_moderate(app, status);
  apps::add_stream(app, status);
  apps::add_generate(app, status);
  apps::add_intervene(app, status);
  apps::add_inspect(app, status);
  apps::add_evaluate(app, status);
  apps::add_quantize(app, status);
  apps::add_serve(app, status);
  apps::add_gateway(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help);
    return std::fflush(stdout) == 0 ? apps::kExitDone : apps::kExitCouldNotRun;
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "error: %s; see qwen3guard --help [invalid_argument]\n",
                 apps::escape_controls(wrong.what()).c_str());
    return apps::kExitCouldNotRun;
  } catch (const std::exception& failure) {
    // Libraries return errors; what comes here is exhausted memory or threads.
    return apps::fail({qwen3guard::ErrorCode::kIo,
                       std::string("the system ran out of a resource: ") + failure.what()});
  }
  return status;
}
