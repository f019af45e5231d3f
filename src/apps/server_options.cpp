#include "apps/server_options.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>
#include <utility>

#include "apps/exit_status.h"
#include "base/try.h"

namespace qwen3guard::apps {
namespace {

// Ends the server on SIGTERM or SIGINT, and reads its files anew on SIGHUP. Made before any other
// thread, so that none of them takes the signals.
class SignalWatch {
 public:
  SignalWatch() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  ~SignalWatch() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  void start(server::Server& server, std::string policy) {
    thread_ = std::thread([this, &server, policy = std::move(policy)] {
      for (bool asked = false; !ended_;) {
        const timespec pause{0, 200'000'000};
        const int got = sigtimedwait(&signals_, nullptr, &pause);
        if (got <= 0) continue;
        if (got == SIGHUP) {
          server.set_policy(Policy::load(policy));
          server.reload();
          continue;
        }
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

}  // namespace

void add_server_options(CLI::App& command, ServerArguments& arguments) {
  server::ServerOptions& options = arguments.options;
  command.add_option("--listen", options.listen, "Where to listen; port 0 takes a free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  command
      .add_option("--api-key-file", arguments.api_key_file,
                  "Only answer to keys in this file, one a line: KEY, or NAME KEY")
      ->type_name("FILE");
  CLI::Option* certificate =
      command
          .add_option("--tls-certificate", options.tls.certificate,
                      "Serve https with this certificate and those that sign it (PEM), read anew "
                      "on SIGHUP")
          ->type_name("FILE");
  CLI::Option* key = command
                         .add_option("--tls-key", options.tls.key,
                                     "Key of the certificate (PEM, without a passphrase)")
                         ->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
  add_model_option(command, arguments.guard);
  add_policy_option(command, arguments.guard);
  add_overflow_option(command, arguments.guard);
  add_threads_option(command, arguments.guard);
  add_weights_option(command, arguments.guard);
  add_limit(command, "--workers", options.workers, "Requests judged at a time", 1);
  add_limit(command, "--queue", options.queue, "Requests that may wait for a worker", 0);
  add_limit(command, "--requests-per-minute", options.requests_per_minute,
            "Requests of one API key in a minute; 0: no limit", 0);
  add_limit(command, "--max-connections", options.http.connections, "Open connections", 1);
  add_limit(command, "--max-body-mb", arguments.body_megabytes, "Megabytes of one request's body",
            1);
  add_limit(command, "--idle-seconds", arguments.idle_seconds,
            "Life of a connection without requests", 1);
  add_limit(command, "--drain-seconds", arguments.drain_seconds, "Time to finish on SIGTERM", 0);
  command
      .add_option("--metrics-prefix", options.service.metrics_prefix, "Begins every metric's name")
      ->check([](const std::string& name) {
        const bool fit = !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
                         name.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
                             "YZ0123456789_") == std::string::npos;
        return fit ? std::string() : "expected letters, digits and _: " + name;
      })
      ->type_name("NAME")
      ->capture_default_str();
  command.add_flag("--log-content", options.log_content,
                   "Write what requests and answers say into the log");
}

Result<int> run_server(ServerArguments arguments, const StartServer& start) {
  SignalWatch signals;
  server::ServerOptions& options = arguments.options;
  options.http.body_bytes = arguments.body_megabytes << 20;
  options.http.idle = std::chrono::seconds(arguments.idle_seconds);
  options.http.drain = std::chrono::seconds(arguments.drain_seconds);
  options.log = [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stderr); };
  if (!arguments.api_key_file.empty()) {
    QG_TRY(options.keys, server::ApiKeys::load(arguments.api_key_file));
  }
  QG_TRY(Policy policy, Policy::load(arguments.guard.policy));
  QG_TRY(const std::filesystem::path model, find_model(arguments.guard.model));
  options.service.model = model.filename().empty() ? model.parent_path().filename().string()
                                                   : model.filename().string();
  QG_TRY(Guard guard, load_guard(arguments.guard, thread_count(arguments.guard)));
  QG_TRY(const auto server, start(std::move(guard), std::move(policy), options));
  std::printf("listening on port %u\n", static_cast<unsigned>(server->port()));
  std::fflush(stdout);
  signals.start(*server, arguments.guard.policy);
  server->run();
  return kExitDone;
}

}  // namespace qwen3guard::apps
