// qwen3guard serve: the guard behind HTTP.
#include <memory>
#include <string>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/server_options.h"

namespace qwen3guard::apps {

void add_serve(CLI::App& app, int& status) {
  struct ServeArguments {
    ServerArguments server;
    unsigned stream_seconds = 300;
  };
  auto arguments = std::make_shared<ServeArguments>();
  server::ServerOptions& options = arguments->server.options;
  CLI::App* command = app.add_subcommand(
      "serve",
      "Serve verdicts over HTTP: OpenAI's moderations, guardrail hooks, streams (WebSocket too)");
  add_server_options(*command, arguments->server);
  add_gen_options(*command, arguments->server.guard);
  add_limit(*command, "--max-inputs", options.service.inputs, "Texts in one request", 1);
  add_limit(*command, "--max-streams", options.service.streams.streams, "Open streams", 0);
  add_limit(*command, "--max-streams-per-key", options.service.streams.streams_of_client,
            "Open streams of one API key; 0: no limit of its own", 0);
  add_limit(*command, "--stream-seconds", arguments->stream_seconds,
            "Life of a stream that nobody uses, and of a WebSocket without messages", 1);
  command->add_flag_callback(
      "--no-page", [arguments] { arguments->server.options.service.page = false; },
      "Do not show the web page at /");
  command->footer(
      "Examples:\n"
      "  qwen3guard serve\n"
      "  qwen3guard serve --listen 0.0.0.0:8080 --api-key-file keys.txt --policy loose\n"
      "Logs are JSON lines on standard error. SIGTERM and SIGINT finish what is under way; a "
      "second one ends at once.\n"
      "docs/server.md has the routes.");
  command->callback([arguments, &status] {
    arguments->server.options.service.streams.time_to_live =
        std::chrono::seconds(arguments->stream_seconds);
    const Result<int> result =
        run_server(arguments->server, [](Guard guard, Policy policy, server::ServerOptions chosen) {
          return server::Server::start(std::move(guard), std::move(policy), std::move(chosen));
        });
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
