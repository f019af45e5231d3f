// qwen3guard serve: the guard behind HTTP.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/guard_options.h"
#include "base/try.h"
#include "server/server.h"

namespace qwen3guard::apps {
namespace {

struct ServeArguments {
  GuardArguments guard;
  server::ServerOptions options;
  std::string api_key_file;
  std::size_t body_megabytes = 4;
  unsigned idle_seconds = 60;
  unsigned drain_seconds = 30;
  unsigned stream_seconds = 300;
};

// Ends the server on SIGTERM or SIGINT. Made before any other thread, so that none of them takes
// the signals.
class SignalWatch {
 public:
  SignalWatch() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  ~SignalWatch() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  void start(server::Server& server) {
    thread_ = std::thread([this, &server] {
      for (bool asked = false; !ended_;) {
        const timespec pause{0, 200'000'000};
        const int got = sigtimedwait(&signals_, nullptr, &pause);
        if (got <= 0) continue;
        // Who asks twice does not want to wait for what is under way.
        if (asked) ::_exit(128 + got);
        asked = true;
        server.drain();
      }
    });
  }

 private:
  sigset_t signals_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

Result<int> serve(ServeArguments arguments) {
  SignalWatch signals;
  server::ServerOptions& options = arguments.options;
  options.http.body_bytes = arguments.body_megabytes << 20;
  options.http.idle = std::chrono::seconds(arguments.idle_seconds);
  options.http.drain = std::chrono::seconds(arguments.drain_seconds);
  options.service.streams.time_to_live = std::chrono::seconds(arguments.stream_seconds);
  options.log = [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stderr); };
  if (!arguments.api_key_file.empty()) {
    QG_TRY(options.keys, server::ApiKeys::load(arguments.api_key_file));
  }
  QG_TRY(Policy policy, Policy::load(arguments.guard.policy));
  QG_TRY(const std::filesystem::path model, find_model(arguments.guard.model));
  options.service.model = model.filename().empty() ? model.parent_path().filename().string()
                                                   : model.filename().string();
  QG_TRY(Guard guard, load_guard(arguments.guard, thread_count(arguments.guard)));
  QG_TRY(const auto server, server::Server::start(std::move(guard), std::move(policy), options));
  std::printf("listening on port %u\n", static_cast<unsigned>(server->port()));
  std::fflush(stdout);
  signals.start(*server);
  server->run();
  return kExitDone;
}

}  // namespace

void add_serve(CLI::App& app, int& status) {
  auto arguments = std::make_shared<ServeArguments>();
  server::ServerOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand(
      "serve", "Serve verdicts over HTTP: OpenAI's moderations, guardrail hooks, streams");
  command->add_option("--listen", options.listen, "Where to listen; port 0 takes a free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  command
      ->add_option("--api-key-file", arguments->api_key_file,
                   "Only answer to keys in this file, one a line: KEY, or NAME KEY")
      ->type_name("FILE");
  add_model_option(*command, arguments->guard);
  add_policy_option(*command, arguments->guard);
  add_gen_options(*command, arguments->guard);
  add_overflow_option(*command, arguments->guard);
  add_threads_option(*command, arguments->guard);
  add_weights_option(*command, arguments->guard);

  const auto limit = [&](const char* name, auto& value, const char* help, int least) {
    command->add_option(name, value, help)
        ->check(CLI::Range(least, 1'000'000'000))
        ->type_name("N")
        ->capture_default_str();
  };
  limit("--workers", options.workers, "Requests judged at a time", 1);
  limit("--queue", options.queue, "Requests that may wait for a worker", 0);
  limit("--max-connections", options.http.connections, "Open connections", 1);
  limit("--max-body-mb", arguments->body_megabytes, "Megabytes of one request's body", 1);
  limit("--max-inputs", options.service.inputs, "Texts in one request", 1);
  limit("--max-streams", options.service.streams.streams, "Open streams", 0);
  limit("--stream-seconds", arguments->stream_seconds, "Life of a stream that nobody uses", 1);
  limit("--idle-seconds", arguments->idle_seconds, "Life of a connection without requests", 1);
  limit("--drain-seconds", arguments->drain_seconds, "Time to finish on SIGTERM", 0);
  command
      ->add_option("--metrics-prefix", options.service.metrics_prefix, "Begins every metric's name")
      ->check([](const std::string& name) {
        const bool fit = !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
                         name.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
                             "YZ0123456789_") == std::string::npos;
        return fit ? std::string() : "expected letters, digits and _: " + name;
      })
      ->type_name("NAME")
      ->capture_default_str();
  command->add_flag_callback(
      "--no-page", [&options] { options.service.page = false; }, "Do not show the web page at /");
  command->add_flag("--log-content", options.log_content,
                    "Write what requests and answers say into the log");
  command->footer(
      "Examples:\n"
      "  qwen3guard serve\n"
      "  qwen3guard serve --listen 0.0.0.0:8080 --api-key-file keys.txt --policy loose\n"
      "Logs are JSON lines on standard error. SIGTERM and SIGINT finish what is under way; a "
      "second "
      "one ends at once.\n"
      "docs/server.md has the routes.");
  command->callback([arguments, &status] {
    const Result<int> result = serve(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
