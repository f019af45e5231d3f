// `qwen3guard intervene`, run as a user runs it, with a toy model and a guard of random verdicts.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint_fixture.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

using nlohmann::json;

Arguments intervene(Arguments more, const std::string& temperature = "3") {
  Arguments arguments = {"intervene",
                         "--generator",
                         QG_TEST_DATA "/models/toy-gen",
                         "--model",
                         shared_checkpoint().string(),
                         "--threads",
                         "1",
                         "--top-k",
                         "0",
                         "--temperature",
                         temperature,
                         "--max-tokens",
                         "30",
                         "--buffer",
                         "6"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Intervene, ShowsWhatWasDiscardedAndReleased) {
  const Arguments arguments = intervene({"--prompt", "Hi", "--retries", "2"});
  const Outcome plain = run(arguments);
  ASSERT_EQ(plain.status, 0) << plain.err;
  EXPECT_NE(plain.out.find("[discarded> "), std::string::npos) << plain.out;
  EXPECT_NE(plain.out.find("[introspects]"), std::string::npos) << plain.out;
  EXPECT_NE(plain.out.find("2 retries, waits 18 tokens (12 for retries)"), std::string::npos)
      << plain.out;
  const Outcome terminal = run_on_terminal(arguments, "", {{"TERM", "xterm"}, {"NO_COLOR", ""}});
  EXPECT_NE(terminal.out.find("\x1b[9;31m"), std::string::npos) << terminal.out;
}

TEST(Intervene, GivesALineOfJson) {
  const json line =
      run(intervene({"--prompt", "Hi", "--retries", "1", "--then", "replace", "--replacement",
                     "[removed]", "--strategy", "resample", "--json"}))
          .json()
          .at(0);
  EXPECT_EQ(line["strategy"], "resample");
  EXPECT_EQ(line["outcome"], "replaced") << line;
  EXPECT_TRUE(line["finish"].is_null());
  EXPECT_EQ(line["retries"], 1);
  EXPECT_EQ(line["wait_tokens"], 12);
  EXPECT_EQ(line["additional_wait_tokens"], 6);
  ASSERT_EQ(line["discarded"].size(), 2u);
  EXPECT_TRUE(line["discarded"][0]["introspection"].is_null());
  EXPECT_EQ(line["response"]["decision"], "block");
  const std::string text = line["text"];
  EXPECT_EQ(text.substr(text.size() - 9), "[removed]");
  EXPECT_EQ(line["generated_tokens"].get<int>(),
            line["released_tokens"].get<int>() + line["discarded_tokens"].get<int>());
}

TEST(Intervene, ComparesStrategiesOverAFile) {
  const TemporaryDirectory directory;
  const std::string file = (directory / "prompts.jsonl").string();
  write_text(file, conversation_line("a", {"Hi"}) + conversation_line("b", {"How?"}) +
                       conversation_line("c", {"Hi", "Hello"}));
  const Outcome table = run(intervene({file, "--compare", "--then", "proceed"}));
  EXPECT_EQ(table.status, 1) << "the conversation that ends with an answer is an error";
  const auto rows = table.lines();
  ASSERT_EQ(rows.size(), 5u) << table.out;
  EXPECT_EQ(rows[0].find("strategy "), 0u);
  EXPECT_NE(table.err.find("none, id \"c\""), std::string::npos) << table.err;
  const std::vector<std::string> names = {"none", "stop", "resample", "introspect"};
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(rows[i + 1].find(names[i] + " "), 0u);

  const auto lines = run(intervene({file, "--compare", "--json"})).json();
  ASSERT_EQ(lines.size(), 16u);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const json& figures = lines[12 + i];
    EXPECT_EQ(figures["strategy"], names[i]);
    EXPECT_EQ(figures["answers"], 2);
    EXPECT_EQ(figures["errors"], 1);
    const json &a = lines[i], &b = lines[4 + i], &c = lines[8 + i];
    for (const json* line : {&a, &b, &c}) EXPECT_EQ((*line)["strategy"], names[i]);
    EXPECT_EQ(a["id"], "a");
    EXPECT_EQ(c["error"]["code"], "invalid_conversation");
    const double waits = a["wait_tokens"].get<double>() + b["wait_tokens"].get<double>();
    EXPECT_EQ(figures["wait_tokens"].get<double>(), waits / 2);
    EXPECT_EQ(figures["additional_wait_tokens"].get<double>(), waits / 2 - 6);
    const double rate = figures["safety_rate"];
    EXPECT_TRUE(rate == 0 || rate == 0.5 || rate == 1) << rate;
    EXPECT_GT(figures["tokens_per_second"].get<double>(), 0);
  }
  EXPECT_EQ(lines[12]["retries"], 0);
  EXPECT_EQ(lines[13]["outcomes"]["recovered"], 0);
}

TEST(Intervene, TheSafetyRateMayBeAnothersJudgement) {
  const TemporaryDirectory directory;
  write_checkpoint(directory / "broken", {.nan = true});
  const Outcome result = run(intervene({"-", "--json", "--judge", (directory / "broken").string()}),
                             conversation_line("a", {"Hi"}));
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.json().at(0)["error"]["code"], "non_finite");
}

TEST(Intervene, SaysWhatIsWrong) {
  const auto refused = [](const Arguments& arguments, const std::string& what) {
    const Outcome result = run(arguments);
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_NE(result.err.find(what), std::string::npos) << result.err;
  };
  refused(intervene({}), "[invalid_argument]");
  refused(intervene({"-", "--prompt", "Hi"}), "[invalid_argument]");
  refused(intervene({"--prompt", "Hi", "--compare"}), "[invalid_argument]");
  refused({"intervene", "--prompt", "Hi"}, "--generator");
  refused(intervene({"--prompt", "Hi", "--strategy", "hope"}), "--strategy");
  refused({"intervene", "--generator", shared_checkpoint().string(), "--model",
           shared_checkpoint().string(), "--prompt", "Hi"},
          "[unsupported]");
  refused({"intervene", "--generator", QG_TEST_DATA "/models/toy-gen", "--model",
           QG_TEST_DATA "/models/toy-gen", "--prompt", "Hi"},
          "[unsupported]");
  const Outcome greedy = run(intervene({"--prompt", "Hi", "--strategy", "resample"}, "0"));
  EXPECT_EQ(greedy.status, 1);
  EXPECT_NE(greedy.err.find("temperature"), std::string::npos) << greedy.err;
}

}  // namespace
}  // namespace qwen3guard::apps::test
