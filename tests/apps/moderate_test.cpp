// `qwen3guard moderate`, run as a user runs it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "checkpoint_fixture.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

using nlohmann::json;

Arguments moderate(Arguments more) {
  Arguments arguments = {"moderate", "--model", shared_checkpoint().string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<std::string> keys(const std::string& line) {
  std::vector<std::string> result;
  const auto parsed = nlohmann::ordered_json::parse(line);
  for (const auto& [key, value] : parsed.items()) result.push_back(key);
  return result;
}

std::string code(const json& line) { return line.at("error").at("code"); }

TEST(Moderate, GivesALineForEachLineInOrderAndReportsBadOnesInTheirPlace) {
  const std::string input = conversation_line("a", {"How do I whittle a spoon?"}) +  //
                            "not json\n" +                                           //
                            conversation_line(7, {"Hi", "Hello there, friend."}) +   //
                            "\n" +                                                   //
                            R"({"id": "e", "messages": []})"
                            "\n" +  //
                            R"({"id": "r", "messages": [{"role": "wizard", "content": "x"}]})"
                            "\n" +
                            "{\"messages\": [{\"role\": \"user\", \"content\": \"\xc3\x28\"}]}\n" +
                            conversation_line(nullptr, {"最后一行"});
  const Outcome result = run(moderate({"-"}), input);
  EXPECT_EQ(result.status, 1) << result.err;
  const auto lines = result.json();
  ASSERT_EQ(lines.size(), 8u) << result.out;
  EXPECT_EQ(lines[0]["id"], "a");
  EXPECT_EQ(lines[0]["target"], "prompt");
  EXPECT_EQ(lines[1]["id"], 2);
  EXPECT_EQ(code(lines[1]), "invalid_json");
  EXPECT_EQ(lines[2]["id"], 7);
  EXPECT_EQ(lines[2]["target"], "response");
  EXPECT_EQ(code(lines[3]), "invalid_json");
  EXPECT_EQ(lines[4]["id"], "e");
  EXPECT_EQ(code(lines[4]), "invalid_conversation");
  EXPECT_EQ(lines[5]["id"], "r");
  EXPECT_EQ(code(lines[5]), "invalid_conversation");
  EXPECT_EQ(lines[6]["id"], 7);
  EXPECT_EQ(code(lines[6]), "invalid_utf8");
  EXPECT_EQ(lines[7]["id"], 8);
  for (const json& line : lines) {
    if (line.contains("error")) {
      EXPECT_EQ(line.size(), 2u);
      EXPECT_FALSE(line["error"]["message"].get<std::string>().empty());
    }
  }
}

TEST(Moderate, WritesExactlyTheKeysOfTheFormat) {
  const Outcome result =
      run(moderate({"-"}),
          conversation_line("a", {"Hi"}) + conversation_line("b", {"Hi", "Some answer here."}));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const std::vector<std::string> expected = {
      "id",         "target",  "risk",    "category", "probabilities",
      "categories", "refusal", "flagged", "decision", "tokens"};
  for (const std::string& line : result.lines()) EXPECT_EQ(keys(line), expected);
  const auto lines = result.json();
  ASSERT_EQ(lines.size(), 2u);
  for (const json& line : lines) {
    const json& p = line["probabilities"];
    EXPECT_EQ(p.size(), 3u);
    EXPECT_NEAR(
        p["safe"].get<double>() + p["controversial"].get<double>() + p["unsafe"].get<double>(), 1,
        1e-5);
    EXPECT_EQ(line["category"].is_null(), line["risk"] == "Safe");
    EXPECT_TRUE(line["refusal"].is_null());
    EXPECT_GT(line["tokens"], 0);
  }
  EXPECT_EQ(lines[0]["categories"].size(), 9u);
  EXPECT_EQ(lines[1]["categories"].size(), 8u);
  EXPECT_TRUE(lines[0]["flagged"].is_null());
}

TEST(Moderate, FileStandardInputAndPromptAgree) {
  const TemporaryDirectory directory;
  const std::string input = conversation_line(1, {"Hi", "A longer answer, with several words."});
  write_text(directory / "in.jsonl", input);
  const Outcome file = run(moderate({(directory / "in.jsonl").string()}));
  const Outcome standard = run(moderate({"-"}), input);
  const Outcome prompt = run(
      moderate({"--prompt", "Hi", "--response", "A longer answer, with several words.", "--json"}));
  EXPECT_EQ(file.status, 0) << file.err;
  EXPECT_EQ(file.out, standard.out);
  EXPECT_EQ(file.out, prompt.out);
}

TEST(Moderate, AnyNumberOfThreadsGivesTheSameBytes) {
  std::string input;
  for (int i = 0; i < 60; ++i) {
    input += i % 9 == 4
                 ? "broken\n"
                 : conversation_line(
                       i, {"Question " + std::to_string(i),
                           std::string(static_cast<std::size_t>(i % 7) * 40, 'a') + " answer"});
  }
  const Outcome one = run(moderate({"-", "--threads", "1"}), input);
  const Outcome three = run(moderate({"-", "--threads", "3"}), input);
  EXPECT_EQ(one.status, 1);
  EXPECT_EQ(one.out, three.out);
  EXPECT_EQ(one.lines().size(), 60u);
}

TEST(Moderate, PolicyDecides) {
  const TemporaryDirectory directory;
  write_text(directory / "all.json", R"({"version": 1, "name": "all", "threshold": 0.000001})");
  write_text(directory / "none.json", R"({"version": 1, "name": "none", "action": "allow"})");
  write_text(directory / "report.json",
             R"({"version": 1, "action": "flag", "threshold": 0.000001})");
  const std::string input =
      conversation_line("p", {"Hello"}) + conversation_line("r", {"Hello", "你好 dear friend"});
  const auto judge = [&](const std::string& policy) {
    return run(moderate({"-", "--policy", (directory / policy).string()}), input).json();
  };
  for (const json& line : judge("all.json")) EXPECT_EQ(line["decision"], "block");
  for (const json& line : judge("none.json")) EXPECT_EQ(line["decision"], "allow");
  for (const json& line : judge("report.json")) EXPECT_EQ(line["decision"], "flag");
  const json flagged = judge("all.json")[1]["flagged"];
  EXPECT_EQ(flagged["token"], 1);
  EXPECT_GT(flagged["byte"], 0);
  EXPECT_LE(flagged["char"], flagged["byte"]);
  EXPECT_EQ(flagged.size(), 3u);

  const Outcome wrong = run(moderate({"-", "--policy", "no-such-policy"}), input);
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("no-such-policy"), std::string::npos);
  EXPECT_EQ(wrong.out, "");
}

TEST(Moderate, HumanScreenIsPlainTextAwayFromTerminals) {
  const Outcome result =
      run(moderate({"--prompt", "Hi", "--response", "\x1b[31mHello\x1b[0m you"}));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("response"), std::string::npos);
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos) << result.out;
}

TEST(Moderate, TerminalOutputHonoursNoColor) {
  const Arguments arguments = moderate({"--prompt", "Hi"});
  const Outcome coloured = run_on_terminal(arguments, "", {{"NO_COLOR", ""}, {"TERM", "xterm"}});
  const Outcome plain = run_on_terminal(arguments, "", {{"NO_COLOR", "1"}, {"TERM", "xterm"}});
  const Outcome dumb = run_on_terminal(arguments, "", {{"NO_COLOR", ""}, {"TERM", "dumb"}});
  EXPECT_NE(coloured.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(plain.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(dumb.out.find('\x1b'), std::string::npos);
}

TEST(Moderate, AnUnreadableResponseIsAnErrorAndNeverSafe) {
  const Outcome result = run(moderate({"--prompt", "Hi \xff"}));
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out.find("Safe"), std::string::npos);
  EXPECT_NE(result.err.find("[invalid_utf8]"), std::string::npos) << result.err;
}

TEST(Moderate, LongMessages) {
  const TemporaryDirectory directory;
  write_checkpoint(directory / "small", {.max_positions = 128});
  const std::string model = (directory / "small").string();
  std::string words;
  for (int i = 0; i < 400; ++i) words += "word" + std::to_string(i) + " ";
  const std::string input = conversation_line("prompt", {words}) +
                            conversation_line("response", {"Hi", words}) +
                            conversation_line("fine", {"Hi", "short"});
  const Outcome error = run({"moderate", "--model", model, "-"}, input);
  EXPECT_EQ(error.status, 1);
  const auto lines = error.json();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(code(lines[0]), "too_long");
  EXPECT_EQ(code(lines[1]), "too_long");
  EXPECT_TRUE(lines[2].contains("risk"));
  EXPECT_FALSE(lines[2].contains("window_slid"));

  const auto slid = run({"moderate", "--model", model, "-", "--overflow", "slide"}, input).json();
  ASSERT_EQ(slid.size(), 3u);
  EXPECT_EQ(code(slid[0]), "too_long");  // a prompt has no window to slide
  EXPECT_EQ(slid[1]["window_slid"], true);
  EXPECT_FALSE(slid[2].contains("window_slid"));
}

TEST(Moderate, AMessageOfTwoMegabytesIsAnErrorInItsPlace) {
  std::string text;
  while (text.size() < (2u << 20)) text += "All work and no play. ";
  const Outcome result =
      run(moderate({"-"}), conversation_line("big", {text}) + conversation_line("ok", {"Hi"}));
  EXPECT_EQ(result.status, 1);
  const auto lines = result.json();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(code(lines[0]), "too_long");
  EXPECT_TRUE(lines[1].contains("risk"));
}

TEST(Moderate, ALineBeyondTheLimitIsAnErrorInItsPlace) {
  const std::string input = R"({"id": "huge", "messages": ")" + std::string((64u << 20) + 1, 'x') +
                            "\"}\n" + conversation_line("ok", {"Hi"});
  const Outcome result = run(moderate({"-"}), input);
  EXPECT_EQ(result.status, 1);
  const auto lines = result.json();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["id"], 1);
  EXPECT_EQ(code(lines[0]), "too_long");
  EXPECT_TRUE(lines[1].contains("risk"));
}

TEST(Moderate, BrokenModelsAreErrorsAndNeverSafe) {
  const TemporaryDirectory directory;
  write_checkpoint(directory / "nan", {.nan = true});
  write_checkpoint(directory / "mute", {.tokenizer = false});
  write_checkpoint(directory / "torn", {.leave_out = "category_head.weight"});
  const std::string input =
      conversation_line("a", {"Hi"}) + conversation_line("b", {"Hi", "Hello"});
  for (const char* name : {"nan", "mute", "torn", "missing"}) {
    const Outcome result = run({"moderate", "--model", (directory / name).string(), "-"}, input);
    EXPECT_NE(result.status, 0) << name;
    EXPECT_EQ(result.out.find("\"risk\""), std::string::npos) << name << result.out;
    if (result.status == 2) {
      EXPECT_NE(result.err.find("error: "), std::string::npos) << name;
      EXPECT_NE(result.err.find(name), std::string::npos) << result.err;
    }
    const Outcome one = run({"moderate", "--model", (directory / name).string(), "--prompt", "Hi"});
    EXPECT_NE(one.status, 0) << name;
    EXPECT_EQ(one.out.find("Safe"), std::string::npos) << name;
  }
}

TEST(Moderate, ModeMustFitTheModel) {
  EXPECT_EQ(run(moderate({"--mode", "stream", "--prompt", "Hi"})).status, 0);
  const Outcome wrong = run(moderate({"--mode", "gen", "--prompt", "Hi"}));
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("stream model"), std::string::npos) << wrong.err;
}

TEST(Moderate, WrongUsageCannotRun) {
  const TemporaryDirectory directory;
  write_text(directory / "in.jsonl", conversation_line(1, {"Hi"}));
  const std::string input = (directory / "in.jsonl").string();
  const std::vector<Arguments> cases = {
      moderate({}),
      moderate({"--response", "x"}),
      moderate({"--prompt", "x", input}),
      moderate({input, "--resume"}),
      moderate({input, "--output", input}),
      moderate({input, "--output", (directory / "no/such/dir").string()}),
      moderate({"--prompt", "x", "--output", (directory / "o").string()}),
      moderate({input, "--overflow", "truncate"}),
      moderate({input, "--threads", "-1"}),
      moderate({input, "--nonsense"}),
      moderate({(directory / "missing.jsonl").string()}),
      moderate({(directory / "").string()}),
      {},
      {"frobnicate"},
  };
  for (const Arguments& arguments : cases) {
    const Outcome result = run(arguments);
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_EQ(result.err.rfind("error: ", 0), 0u) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST(Moderate, AnUnreadableFileCannotRun) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  const TemporaryDirectory directory;
  write_text(directory / "in.jsonl", conversation_line(1, {"Hi"}));
  std::filesystem::permissions(directory / "in.jsonl", std::filesystem::perms::none);
  EXPECT_EQ(run(moderate({(directory / "in.jsonl").string()})).status, 2);
}

TEST(Moderate, AFullDiskIsNoticed) {
  const Environment environment = {{"MODEL", shared_checkpoint().string()}};
  const std::string input =
      "printf '" + conversation_line(1, {"Hi"}).erase(conversation_line(1, {"Hi"}).size() - 1) +
      "\\n' | \"$QG\" moderate --model \"$MODEL\" - ";
  for (const std::string& target :
       {std::string("> /dev/full"), std::string("--output /dev/full")}) {
    const Outcome result = shell(input + target, environment);
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_NE(result.err.find("No space left"), std::string::npos) << result.err;
  }
  const Outcome one =
      shell("\"$QG\" moderate --model \"$MODEL\" --prompt Hi > /dev/full", environment);
  EXPECT_EQ(one.status, 2);
  const Outcome closed = shell("\"$QG\" moderate --model \"$MODEL\" --prompt Hi >&-", environment);
  EXPECT_EQ(closed.status, 2);
}

TEST(Moderate, EmptyInputIsDoneAtOnce) {
  const Outcome result = run(moderate({"-"}), "");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "");
}

TEST(Moderate, TheEnvironmentNamesTheDefaultModel) {
  const Outcome found = run({"moderate", "--prompt", "Hi", "--json"}, "",
                            {{"QWEN3GUARD_MODEL", shared_checkpoint().string()}});
  EXPECT_EQ(found.status, 0) << found.err;
  const Outcome missing =
      run({"moderate", "--prompt", "Hi"}, "", {{"QWEN3GUARD_MODEL", "/no/such/model"}});
  EXPECT_EQ(missing.status, 2);
  EXPECT_NE(missing.err.find("/no/such/model"), std::string::npos);
}

TEST(Program, HelpAndVersion) {
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_EQ(version.out.rfind("qwen3guard ", 0), 0u);
  for (const Arguments& arguments :
       {Arguments{"--help"}, Arguments{"moderate", "--help"}, Arguments{"stream", "--help"},
        Arguments{"inspect", "--help"}, Arguments{"evaluate", "--help"}}) {
    const Outcome help = run(arguments);
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.out.find("Exit status"), std::string::npos);
    EXPECT_NE(help.out.find("Example"), std::string::npos);
  }
}

}  // namespace
}  // namespace qwen3guard::apps::test
