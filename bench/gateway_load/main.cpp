// What the gateway costs, and whether it holds: a scripted upstream, clients, and between them
// nothing (direct), the gateway's pass-through (passed) or its guard (guarded), in turn.
//   build/bench/gateway_load latency > latency.json
//   build/bench/gateway_load load > load.json
//   build/bench/gateway_load soak --minutes 60 > soak.json
//   build/bench/gateway_load latency --streams 1,16 -- --mode cut --weights q8
// What follows `--` are options of `qwen3guard gateway`. Standard output gets JSON, standard error
// tables. bench/README.md says what the figures mean. Exit status 1 if a stream went wrong.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/try.h"
#include "gateway_load/process.h"
#include "gateway_load/report.h"
#include "gateway_load/streams.h"

namespace qwen3guard::bench {
namespace {

constexpr const char* kGuarded = "/v1/chat/completions";
constexpr const char* kPassed = "/v1/completions";  // the gateway judges nothing there

struct Arguments {
  std::string program;
  std::string log = "/dev/null";
  std::vector<std::string> gateway;  // its own options
  std::vector<std::size_t> streams;
  std::size_t rounds = 3;
  double load_seconds = 60;
  double sample_seconds = 10;
  double idle_seconds = 2;  // after the last stream, before the end's memory is read
  Plan plan;
};

// One of the ways between a client and the upstream.
struct Way {
  const char* name;
  const char* path;
  bool direct;
};
constexpr Way kWays[] = {
    {"direct", kGuarded, true}, {"passed", kPassed, false}, {"guarded", kGuarded, false}};

std::vector<std::string> gateway_command(const Arguments& arguments, const Streams& streams) {
  const std::string most =
      std::to_string(*std::max_element(arguments.streams.begin(), arguments.streams.end()) + 64);
  std::vector<std::string> command = {
      arguments.program,   "gateway",
      "--upstream",        "http://127.0.0.1:" + std::to_string(streams.upstream_port()),
      "--listen",          "127.0.0.1:0",
      "--max-streams",     most,
      "--max-connections", most};
  command.insert(command.end(), arguments.gateway.begin(), arguments.gateway.end());
  return command;
}

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// What the gateway's own metrics count.
Json counted(std::uint16_t port) {
  Json json = Json::object();
  const auto metrics = fetch(port, "/metrics");
  if (!metrics.ok()) return {{"error", metrics.error().message}};
  for (std::size_t at = 0; at < metrics->size();) {
    const std::size_t end = metrics->find('\n', at);
    const std::string line = metrics->substr(at, end - at);
    at = end + 1;
    const bool wanted = line.find("gateway_") != line.npos ||
                        line.find("judged_tokens") != line.npos ||
                        line.find("_errors_total") != line.npos;
    const std::size_t space = line.rfind(' ');
    if (wanted && line[0] != '#') json[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return json;
}

bool all_well(const Measured& measured) {
  const auto ended = [&](End end) { return measured.ends[static_cast<std::size_t>(end)]; };
  std::size_t all = 0;
  for (const std::size_t streams : measured.ends) all += streams;
  return ended(End::kComplete) + ended(End::kLeft) == all;
}

struct Report {
  Json json;
  std::vector<std::vector<std::string>> rows;
  bool well = true;
};

// Latency: every way at every number of streams, in rounds, through one gateway.

Result<Report> latency(const Arguments& arguments, Streams& streams) {
  QG_TRY(const Gateway gateway, Gateway::start(gateway_command(arguments, streams), arguments.log));
  Report report;
  report.rows = {{"streams", "way", "first token p50, ms", "p99", "added p50", "p99",
                  "token p50, ms", "p99", "added p50", "p99", "pieces behind p50",
                  "gateway CPU, cores", "complete"}};
  for (const std::size_t count : arguments.streams) {
    Plan plan = arguments.plan;
    plan.streams = count;
    Measured measured[std::size(kWays)];
    double cpu[std::size(kWays)] = {};
    for (std::size_t round = 0; round < arguments.rounds; ++round) {
      for (std::size_t i = 0; i < std::size(kWays); ++i) {
        const Way& way = kWays[i];
        QG_TRY(const Usage before, gateway.usage());
        measured[i].add(streams.run(plan, way.direct ? streams.upstream_port() : gateway.port(),
                                    way.path, 1, [] {}));
        QG_TRY(const Usage after, gateway.usage());
        cpu[i] += after.cpu_seconds - before.cpu_seconds;
      }
    }
    const Json direct = figures(measured[0]);
    for (std::size_t i = 0; i < std::size(kWays); ++i) {
      Json json = {{"streams_at_a_time", count}, {"way", kWays[i].name}};
      json.update(figures(measured[i]));
      json["gateway_cpu_cores"] = cpu[i] / measured[i].seconds;
      std::vector<std::string> row = {std::to_string(count), kWays[i].name};
      for (const char* kind : {"first_token_ms", "token_ms"}) {
        for (const char* share : {"p50", "p99"}) row.push_back(number(json[kind][share]));
        for (const char* share : {"p50", "p99"}) {
          const double added = json[kind][share].get<double>() - direct[kind][share].get<double>();
          json[std::string("added_") + kind][share] = added;
          row.push_back(i == 0 ? "" : number(added));
        }
      }
      row.push_back(number(json["pieces_behind"]["p50"]));
      row.push_back(number(json["gateway_cpu_cores"]));
      row.push_back(std::to_string(measured[i].ends[0]) + " of " +
                    std::to_string(count * arguments.rounds));
      report.rows.push_back(std::move(row));
      report.well = report.well && all_well(measured[i]);
      report.json["runs"].push_back(std::move(json));
    }
  }
  QG_TRY(const Usage usage, gateway.usage());
  report.json["gateway_threads"] = usage.threads;
  report.json["metrics"] = counted(gateway.port());
  return report;
}

// Load and soak: many streams, and what the gateway's process takes meanwhile.

struct Watched {
  Measured measured;
  Usage start, end;
  std::uint64_t peak_bytes = 0;
  double gateway_cores = 0;
  double driver_cores = 0;  // upstream and clients
  Json samples = Json::array();
  Json metrics;
};

Result<Watched> watch(const Arguments& arguments, Streams& streams, const Way& way) {
  QG_TRY(const Gateway gateway, Gateway::start(gateway_command(arguments, streams), arguments.log));
  Watched watched;
  QG_TRY(watched.start, gateway.usage());
  QG_TRY(const Usage driver, usage_of(::getpid()));
  double at = 0;
  const auto sample = [&] {
    at += arguments.sample_seconds;
    const auto usage = gateway.usage();
    if (!usage.ok()) return;
    watched.samples.push_back({{"seconds", at},
                               {"resident_mb", megabytes(usage->resident_bytes)},
                               {"open_files", usage->open_files},
                               {"threads", usage->threads}});
  };
  watched.measured =
      streams.run(arguments.plan, way.direct ? streams.upstream_port() : gateway.port(), way.path,
                  arguments.sample_seconds, sample);
  QG_TRY(const Usage busy, gateway.usage());
  QG_TRY(const Usage driven, usage_of(::getpid()));
  watched.gateway_cores = (busy.cpu_seconds - watched.start.cpu_seconds) / watched.measured.seconds;
  watched.driver_cores = (driven.cpu_seconds - driver.cpu_seconds) / watched.measured.seconds;
  std::this_thread::sleep_for(std::chrono::duration<double>(arguments.idle_seconds));
  QG_TRY(watched.end, gateway.usage());
  watched.peak_bytes = watched.end.peak_bytes;
  watched.metrics = counted(gateway.port());
  return watched;
}

Json watched_json(const Watched& watched, const Way& way) {
  Json json = {{"way", way.name}};
  json.update(figures(watched.measured));
  json["gateway_cpu_cores"] = watched.gateway_cores;
  json["driver_cpu_cores"] = watched.driver_cores;
  json["resident_mb"] = {{"start", megabytes(watched.start.resident_bytes)},
                         {"peak", megabytes(watched.peak_bytes)},
                         {"end", megabytes(watched.end.resident_bytes)}};
  json["open_files"] = {{"start", watched.start.open_files}, {"end", watched.end.open_files}};
  json["gateway_threads"] = watched.end.threads;
  json["metrics"] = watched.metrics;
  return json;
}

Result<Report> load(Arguments arguments, Streams& streams) {
  Report report;
  report.rows = {{"streams", "way", "complete", "dropped", "reordered", "token p50, ms", "p99",
                  "gateway CPU, cores", "driver CPU, cores", "resident MB at start", "peak",
                  "end"}};
  for (const std::size_t count : arguments.streams) {
    for (const Way& way : kWays) {
      arguments.plan.streams = count;
      arguments.plan.pieces =
          static_cast<std::size_t>(std::max(2.0, arguments.load_seconds * arguments.plan.rate));
      QG_TRY(const Watched watched, watch(arguments, streams, way));
      Json json = {{"streams_at_a_time", count}};
      json.update(watched_json(watched, way));
      const Json& memory = json["resident_mb"];
      report.rows.push_back(
          {std::to_string(count), way.name, std::to_string(watched.measured.ends[0]),
           std::to_string(watched.measured.damage.dropped),
           std::to_string(watched.measured.damage.reordered), number(json["token_ms"]["p50"]),
           number(json["token_ms"]["p99"]), number(watched.gateway_cores),
           number(watched.driver_cores), number(memory["start"]), number(memory["peak"]),
           number(memory["end"])});
      report.well = report.well && all_well(watched.measured);
      report.json["runs"].push_back(std::move(json));
    }
  }
  return report;
}

Result<Report> soak(Arguments arguments, Streams& streams) {
  arguments.plan.streams = arguments.streams.front();
  arguments.idle_seconds = std::max(arguments.idle_seconds, arguments.sample_seconds);
  QG_TRY(const Watched watched, watch(arguments, streams, kWays[2]));
  Report report;
  report.json = watched_json(watched, kWays[2]);
  report.json["samples"] = watched.samples;
  report.rows = {{"seconds", "resident MB", "open files", "threads"}};
  const auto row = [&](const std::string& when, const Usage& usage) {
    report.rows.push_back({when, number(megabytes(usage.resident_bytes)),
                           std::to_string(usage.open_files), std::to_string(usage.threads)});
  };
  row("start", watched.start);
  // Twenty rows show a trend; the JSON has all.
  const std::size_t step = watched.samples.size() / 20 + 1;
  for (std::size_t i = step - 1; i < watched.samples.size(); i += step) {
    const Json& sample = watched.samples[i];
    report.rows.push_back({number(sample["seconds"]), number(sample["resident_mb"]),
                           sample["open_files"].dump(), sample["threads"].dump()});
  }
  row("end, idle", watched.end);
  report.well = all_well(watched.measured);
  return report;
}

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  return line;
}

int run(int argc, char** argv) {
  Arguments arguments;
  std::error_code error;
  arguments.program =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "qwen3guard";
  arguments.plan.ramp_seconds = 2;
  arguments.plan.rate = 0;  // that of the mode

  CLI::App app("What the gateway costs, and whether it holds");
  app.require_subcommand(1);
  const auto mode = [&](const char* name, const char* help) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("--streams", arguments.streams, "Streams at a time")
        ->delimiter(',')
        ->check(CLI::PositiveNumber);
    command->add_option("--rate", arguments.plan.rate, "Pieces a second, of each stream")
        ->check(CLI::Range(0.01, 1e4));
    command->add_option("--ramp-seconds", arguments.plan.ramp_seconds,
                        "Time over which the streams begin");
    command->add_option("--program", arguments.program, "The program qwen3guard");
    command->add_option("--log", arguments.log, "Where the gateway's log goes");
    command
        ->add_option("--flaw", arguments.plan.flaw,
                     "none, or what the upstream does wrong to show that it is noticed: drop, swap")
        ->transform(CLI::CheckedTransformer(std::map<std::string, Flaw>{
            {"none", Flaw::kNone}, {"drop", Flaw::kDrop}, {"swap", Flaw::kSwap}}));
    command->add_option("gateway", arguments.gateway, "After --: options of `qwen3guard gateway`");
    return command;
  };
  CLI::App* latency_mode = mode("latency", "What is added to the first token and to each");
  latency_mode->add_option("--pieces", arguments.plan.pieces, "Length of a stream")
      ->check(CLI::Range(2, 1000000));
  latency_mode->add_option("--rounds", arguments.rounds, "Each way so often, in turn");
  CLI::App* load_mode = mode("load", "Many streams at a time");
  load_mode->add_option("--seconds", arguments.load_seconds, "Length of a stream");
  CLI::App* soak_mode = mode("soak", "Streams without end, every tenth left by its client");
  soak_mode->add_option("--pieces", arguments.plan.pieces, "Length of a stream")
      ->check(CLI::Range(2, 1000000));
  soak_mode->add_option("--minutes", arguments.plan.minutes, "How long new streams begin")
      ->required();
  soak_mode->add_option("--sample-seconds", arguments.sample_seconds, "Between two samples")
      ->check(CLI::Range(0.01, 1e6));
  CLI11_PARSE(app, argc, argv);

  const bool soaks = soak_mode->parsed();
  const bool loads = load_mode->parsed();
  if (soaks) arguments.plan.leave_every = 10;
  if (arguments.streams.empty()) {
    arguments.streams = soaks   ? std::vector<std::size_t>{100}
                        : loads ? std::vector<std::size_t>{1000}
                                : std::vector<std::size_t>{1, 16, 100};
  }
  if (arguments.plan.rate == 0) arguments.plan.rate = soaks || loads ? 10 : 50;

  const std::size_t files = raise_file_limit();
  Streams streams;
  Json json = {{"command", joined({argv, argv + argc})},
               {"gateway_command", joined(gateway_command(arguments, streams))},
               {"open_files_limit", files},
               {"environment", environment(arguments.program)}};
  std::fprintf(stderr, "%s\n", json.dump(2).c_str());
  auto report = loads   ? load(arguments, streams)
                : soaks ? soak(arguments, streams)
                        : latency(arguments, streams);
  if (!report.ok()) {
    std::fprintf(stderr, "error: %s\n", report.error().message.c_str());
    return 2;
  }
  std::fprintf(stderr, "\n%s", table(report->rows).c_str());
  json.update(report->json);
  std::printf("%s\n", json.dump(2).c_str());
  return report->well ? 0 : 1;
}

}  // namespace
}  // namespace qwen3guard::bench

int main(int argc, char** argv) { return qwen3guard::bench::run(argc, argv); }
