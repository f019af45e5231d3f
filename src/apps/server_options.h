// What the subcommands that serve over HTTP share: options, and a run until a signal ends it.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "apps/guard_options.h"
#include "qwen3guard/guard.h"
#include "server/server.h"

namespace qwen3guard::apps {

struct ServerArguments {
  GuardArguments guard;
  server::ServerOptions options;
  std::string api_key_file;
  std::size_t body_megabytes = 4;
  unsigned idle_seconds = 60;
  unsigned drain_seconds = 30;
};

/// Everything but --listen's default, which stands in `arguments`.
void add_server_options(CLI::App& command, ServerArguments& arguments);
/// An option for a number of at least `least`.
template <typename Number>
void add_limit(CLI::App& command, const char* name, Number& value, const char* help, int least) {
  command.add_option(name, value, help)
      ->check(CLI::Range(least, 1'000'000'000))
      ->type_name("N")
      ->capture_default_str();
}

using StartServer = std::function<Result<std::unique_ptr<server::Server>>(
    Guard guard, Policy policy, server::ServerOptions options)>;

/// Loads keys, policy and model, starts, says where it listens, and serves until SIGTERM or SIGINT.
Result<int> run_server(ServerArguments arguments, const StartServer& start);

}  // namespace qwen3guard::apps
