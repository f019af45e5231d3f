// qwen3guard inspect: what an artefact holds, and what is wrong with it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/inspect_checkpoint.h"
#include "apps/output.h"
#include "apps/terminal.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/quote.h"
#include "qwen3guard/policy.h"

namespace qwen3guard::apps {
namespace {

constexpr std::size_t kMaxPolicyBytes = 1u << 20;

struct InspectArguments {
  std::string path;
  bool headers_only = false;
};

std::string rule_text(const Policy::Rule& rule) {
  std::string text(decision_name(rule.action));
  if (rule.action == Decision::kAllow) return text;
  if (!rule.threshold) return text + " when most probable";
  char threshold[32];
  std::snprintf(threshold, sizeof threshold, " from %.4g", static_cast<double>(*rule.threshold));
  return text + threshold;
}

std::string policy_table(const Policy& policy) {
  const bool strict = policy.mode() == Policy::Mode::kStrict;
  std::string text = "  kind      policy " + escape_controls(policy.name()) + "\n";
  text +=
      std::string("  mode      ") +
      (strict ? "strict: Controversial counts as Unsafe" : "loose: Controversial counts as Safe") +
      "\n";
  text += "  debounce  " + std::string(debounce_rule_name(policy.debounce())) + "\n";
  text += std::string("  thresholds compare with ") +
          (strict ? "P(Unsafe) + P(Controversial)" : "P(Unsafe)") + "\n";
  constexpr std::size_t kNameWidth = 32, kRuleWidth = 26;
  const auto row = [=](std::string name, std::string prompt, const std::string& response) {
    name.resize(std::max(name.size(), kNameWidth), ' ');
    prompt.resize(std::max(prompt.size(), kRuleWidth), ' ');
    return "  " + name + prompt + response + "\n";
  };
  text += row("category", "prompt", "response");
  for (std::size_t i = 0; i < kQueryCategoryCount; ++i) {
    text += row(std::string(category_name(static_cast<Category>(i))),
                rule_text(policy.rules(Target::kPrompt)[i]),
                i < kResponseCategoryCount ? rule_text(policy.rules(Target::kResponse)[i]) : "-");
  }
  return text;
}

Result<Inspection> inspect_policy(const std::string& path) {
  Inspection inspection;
  QG_TRY(const std::string text, bytes::read_file(path, kMaxPolicyBytes));
  if (const auto policy = Policy::parse(text); policy.ok()) {
    inspection.facts = policy_table(*policy);
  } else {
    inspection.problems.push_back("as a policy file: " + escape_controls(policy.error().message));
  }
  return inspection;
}

Result<Inspection> inspect_path(const InspectArguments& arguments) {
  const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const std::filesystem::path path = arguments.path;
  std::error_code failure;
  if (std::filesystem::is_directory(path, failure)) {
    return inspect_checkpoint(path, !arguments.headers_only, threads);
  }
  if (path.extension() == ".safetensors") {
    return inspect_safetensors(path, !arguments.headers_only, threads);
  }
  if (path.extension() == ".gguf") return inspect_gguf(path, !arguments.headers_only);
  if (path.extension() == ".json") return inspect_policy(arguments.path);
  if (!std::filesystem::exists(path, failure)) {
    return Error{ErrorCode::kNotFound, "there is no " + bytes::quote_path(path)};
  }
  return Error{ErrorCode::kUnsupported,
               bytes::quote_path(path) +
                   ": expected a checkpoint directory, a .safetensors or .gguf file, "
                   "or a policy file (.json)"};
}

Result<int> inspect(const InspectArguments& arguments) {
  QG_TRY(const Inspection inspection, inspect_path(arguments));
  std::string text = escape_controls(arguments.path) + "\n" + inspection.facts;
  for (const std::string& note : inspection.notes) text += "note: " + note + "\n";
  for (const std::string& problem : inspection.problems) text += "problem: " + problem + "\n";
  text += inspection.problems.empty()
              ? "healthy\n"
              : std::to_string(inspection.problems.size()) +
                    (inspection.problems.size() == 1 ? " problem\n" : " problems\n");
  Output output = Output::standard_output();
  QG_CHECK_OK(output.write(text));
  QG_CHECK_OK(output.close());
  return inspection.problems.empty() ? kExitDone : kExitSomeFailed;
}

}  // namespace

void add_inspect(CLI::App& app, int& status) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Show what a checkpoint, tensor file or policy holds, and what is wrong with it");
  command
      ->add_option("path", arguments->path,
                   "Checkpoint directory, .safetensors or .gguf file, or policy file (.json)")
      ->type_name("DIR|FILE")
      ->required();
  command->add_flag(
      "--headers-only", arguments->headers_only,
      "Do not read the numbers (a big checkpoint takes as long as reading it from disk)");
  command->footer(
      "Examples:\n"
      "  qwen3guard inspect models/qwen3guard-stream-mini\n"
      "  qwen3guard inspect policy.json\n"
      "Exit status: 0 healthy, 1 problems found, 2 cannot be read.");
  command->callback([arguments, &status] {
    const Result<int> result = inspect(*arguments);
    status = result.ok() ? *result : fail(result.error());
  });
}

}  // namespace qwen3guard::apps
