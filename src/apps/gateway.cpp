// qwen3guard gateway: an OpenAI-compatible upstream behind the guard.
#include "gateway/gateway.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/server_options.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/quote.h"

namespace qwen3guard::apps {
namespace {

struct GatewayArguments {
  ServerArguments server;
  gateway::GatewayOptions options;
  std::string upstream;
  std::string upstream_key_file;
  std::string mode = "hold";
  std::string on_flag = "stop";
  std::string fail = "closed";
  std::string check_prompt = "parallel";
  std::string pass_through = "yes";
  std::string annotations = "none";
  std::string then = "stop";
  std::string prefill = "none";
  unsigned connect_seconds = 10;
  unsigned first_byte_seconds = 300;
  unsigned chunk_seconds = 60;
  std::size_t plain_megabytes = 8;
  std::size_t held_kilobytes = 256;
};

gateway::ResponseMode response_mode(const std::string& name) {
  return name == "cut"       ? gateway::ResponseMode::kCut
         : name == "chunked" ? gateway::ResponseMode::kChunked
         : name == "audit"   ? gateway::ResponseMode::kAudit
                             : gateway::ResponseMode::kHold;
}

gateway::OnFlag on_flag(const std::string& name) {
  return name == "replace"    ? gateway::OnFlag::kReplace
         : name == "rollback" ? gateway::OnFlag::kRollBack
                              : gateway::OnFlag::kStop;
}

gateway::Prefill prefill(const std::string& name) {
  return name == "message"  ? gateway::Prefill::kMessage
         : name == "vllm"   ? gateway::Prefill::kVllm
         : name == "prefix" ? gateway::Prefill::kPrefix
                            : gateway::Prefill::kNone;
}

Result<std::string> read_key(const std::string& path) {
  QG_TRY(std::string key, bytes::read_file(path, 1u << 16));
  key.erase(key.find_last_not_of(" \t\r\n") + 1);
  const bool fits = !key.empty() && std::all_of(key.begin(), key.end(),
                                                [](char c) { return c > ' ' && c < '\x7f'; });
  if (!fits) {
    return Error{ErrorCode::kInvalidArgument,
                 "upstream key " + bytes::quote_path(path) +
                     ": expected one line of printable characters without spaces"};
  }
  return key;
}

Result<int> run_gateway(const GatewayArguments& arguments) {
  gateway::GatewayOptions options = arguments.options;
  QG_TRY(options.upstream, gateway::parse_url(arguments.upstream));
  if (!arguments.upstream_key_file.empty()) {
    QG_TRY(options.upstream_key, read_key(arguments.upstream_key_file));
  }
  options.limits.connect = std::chrono::seconds(arguments.connect_seconds);
  options.limits.first_byte = std::chrono::seconds(arguments.first_byte_seconds);
  options.limits.between = std::chrono::seconds(arguments.chunk_seconds);
  options.guard.filter.mode = response_mode(arguments.mode);
  options.guard.filter.held_bytes = arguments.held_kilobytes << 10;
  options.guard.on_flag = on_flag(arguments.on_flag);
  options.guard.roll_back.then_replace = arguments.then == "replace";
  options.guard.roll_back.prefill = prefill(arguments.prefill);
  if (arguments.on_flag == "rollback" && arguments.mode != "hold") {
    return Error{ErrorCode::kInvalidArgument, "--on-flag rollback: expected --mode hold, found " +
                                                  arguments.mode +
                                                  ", which sends what could not be taken back"};
  }
  options.guard.fail_open = arguments.fail == "open";
  options.guard.annotations =
      arguments.annotations == "azure" ? gateway::Annotations::kAzure : gateway::Annotations::kNone;
  options.prompt_first = arguments.check_prompt == "before";
  options.pass_through = arguments.pass_through == "yes";
  options.plain_bytes = arguments.plain_megabytes << 20;
  const auto start = [&options](Guard guard, Policy policy, server::ServerOptions chosen) {
    options.server = std::move(chosen);
    return gateway::start_gateway(std::move(guard), std::move(policy), options);
  };
  return run_server(arguments.server, start);
}

}  // namespace

void add_gateway(CLI::App& app, int& status) {
  auto arguments = std::make_shared<GatewayArguments>();
  gateway::GatewayOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand(
      "gateway", "Put the guard in front of an OpenAI-compatible server, streams included");
  command->add_option("--upstream", arguments->upstream, "The server whose answers are guarded")
      ->type_name("URL")
      ->required();
  const auto choice = [&](const char* name, std::string& value, std::vector<std::string> values,
                          const char* help) {
    std::string names;
    for (const std::string& each : values) names += (names.empty() ? "" : "|") + each;
    command->add_option(name, value, help)
        ->check(CLI::IsMember(std::move(values)))
        ->type_name(names)
        ->capture_default_str();
  };
  choice("--mode", arguments->mode, {"hold", "cut", "chunked", "audit"},
         "hold: text leaves once judged; chunked: so in blocks; cut: at once, until a flag; audit: "
         "at once, and only report");
  add_limit(*command, "--block-characters", options.guard.filter.block_characters,
            "chunked: characters of a block; 0: blocks end with sentences", 0);
  choice("--on-flag", arguments->on_flag, {"stop", "replace", "rollback"},
         "End a flagged answer; put --replacement there first; or take back what was not sent yet "
         "and have the upstream write on");
  add_limit(*command, "--buffer", options.guard.roll_back.buffer,
            "rollback: newest tokens that are not sent yet", 1);
  add_limit(*command, "--retries", options.guard.roll_back.retries,
            "rollback: how often in one answer", 0);
  choice("--then", arguments->then, {"stop", "replace"},
         "rollback: what is done when the retries are used up");
  choice("--prefill", arguments->prefill, {"none", "message", "vllm", "prefix"},
         "rollback: how the upstream takes the beginning of an answer: not at all; as a last "
         "message; with vLLM's continue_final_message; with \"prefix\" in it");
  command
      ->add_option("--replacement", options.guard.replacement,
                   "What stands in place of flagged text")
      ->type_name("TEXT");
  choice("--fail", arguments->fail, {"closed", "open"}, "What cannot be judged is not sent, or is");
  choice("--check-prompt", arguments->check_prompt, {"parallel", "before"},
         "Judge the prompt while the upstream already works, or before it is asked");
  choice("--annotations", arguments->annotations, {"none", "azure"},
         "azure: answers say what was found as Azure OpenAI does, in content_filter_results and "
         "prompt_filter_results");
  choice("--pass-through", arguments->pass_through, {"yes", "no"},
         "Forward requests for other paths, unjudged, or answer 404");
  command->add_flag(
      "--page", options.page,
      "Show the page with the live board at /, in place of what the upstream has there");
  command
      ->add_option("--upstream-key-file", arguments->upstream_key_file,
                   "API key for the upstream, in place of the client's")
      ->type_name("FILE");
  command
      ->add_option("--upstream-ca", options.limits.authorities,
                   "https: certificates of the authorities to believe, in place of the system's")
      ->type_name("FILE");
  add_server_options(*command, arguments->server);
  command
      ->add_option("--rules", options.rules_file,
                   "Policy, mode and action by route, model, client or header: "
                   "docs/formats/policy.md. Read anew on SIGHUP")
      ->type_name("FILE");
  add_limit(*command, "--max-streams", options.streams, "Guarded answers under way", 1);
  add_limit(*command, "--max-choices", options.choices, "Choices of one request (n)", 1);
  add_limit(*command, "--max-held-kb", arguments->held_kilobytes,
            "Kilobytes of an answer that may wait for a verdict", 1);
  add_limit(*command, "--max-answer-mb", arguments->plain_megabytes,
            "Megabytes of an answer that is no stream", 1);
  add_limit(*command, "--connect-seconds", arguments->connect_seconds,
            "Time for a connection to the upstream", 1);
  add_limit(*command, "--first-byte-seconds", arguments->first_byte_seconds,
            "Time for the upstream's first bytes", 1);
  add_limit(*command, "--chunk-seconds", arguments->chunk_seconds,
            "Time between two pieces of its answer", 1);
  command->footer(
      "Examples:\n"
      "  qwen3guard gateway --upstream http://127.0.0.1:8000\n"
      "  qwen3guard gateway --upstream http://llm:8000 --mode chunked --on-flag replace \\\n"
      "      --replacement 'I cannot help with that.'\n"
      "  qwen3guard gateway --upstream http://llm:8000 --on-flag rollback --rules rules.json\n"
      "Logs are JSON lines on standard error. SIGTERM and SIGINT finish what is under way; a "
      "second one ends at once.\n"
      "docs/gateway.md has modes, limits and faults.");
  command->callback([arguments, &status] {
    const Result<int> result = run_gateway(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
