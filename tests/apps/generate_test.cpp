// `qwen3guard generate`, run as a user runs it.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "checkpoint_fixture.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

using nlohmann::json;

const std::filesystem::path kToyGen = std::filesystem::path(QG_TEST_DATA) / "models" / "toy-gen";

Arguments generate(Arguments more) {
  Arguments arguments = {"generate", "--model", kToyGen.string(), "--max-tokens", "12"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Generate, WritesTheAnswerAsText) {
  const Outcome text = run(generate({"--prompt", "Hi", "--format", "guard"}));
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_EQ(text.out.find("Safety: "), 0u) << text.out;
  EXPECT_EQ(text.out.back(), '\n');
  const Outcome line = run(generate({"--prompt", "Hi", "--format", "guard", "--json"}));
  EXPECT_EQ(line.json()[0]["text"].get<std::string>() + "\n", text.out);
  const Outcome cut =
      run(generate({"--prompt", "Hi", "--format", "guard", "--stop", "x", "--stop", "ety"}));
  EXPECT_EQ(cut.out, "Saf\n");
}

TEST(Generate, GivesALineForEachLineInOrderAndReportsBadOnesInTheirPlace) {
  const std::string input = conversation_line("a", {"How do I whittle a spoon?"}) +  //
                            "not json\n" +                                           //
                            conversation_line(7, {"你好"}) +                         //
                            conversation_line(nullptr, {"Hi", "Hello"});
  const Outcome result = run(generate({"-", "--batch", "2"}), input);
  EXPECT_EQ(result.status, 1) << result.err;
  const auto lines = result.json();
  ASSERT_EQ(lines.size(), 4u) << result.out;
  EXPECT_EQ(lines[0]["id"], "a");
  EXPECT_EQ(lines[0]["finish"], "length");
  EXPECT_EQ(lines[0]["answer_tokens"], 12);
  EXPECT_EQ(lines[1]["id"], 2);
  EXPECT_EQ(lines[1]["error"]["code"], "invalid_json");
  EXPECT_EQ(lines[2]["id"], 7);
  EXPECT_TRUE(lines[2].contains("text"));
  EXPECT_EQ(lines[3]["id"], 4);
  EXPECT_EQ(lines[3]["error"]["code"], "invalid_conversation");
}

// Line i of a file has seed + i - 1: equal lines differ, and each can be had again alone.
TEST(Generate, LinesOfAFileHaveSeedsOfTheirOwn) {
  const std::string same = conversation_line(nullptr, {"Hi"});
  const Arguments hot = {"--temperature", "3", "--seed", "5"};
  Arguments file = generate({"-"});
  file.insert(file.end(), hot.begin(), hot.end());
  const auto lines = run(file, same + same).json();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0]["text"], lines[1]["text"]);
  const Outcome second =
      run(generate({"--prompt", "Hi", "--temperature", "3", "--seed", "6", "--json"}));
  EXPECT_EQ(second.json()[0]["text"], lines[1]["text"]);
}

TEST(Generate, ListsLogProbabilities) {
  const Outcome result = run(generate({"--prompt", "Hi", "--json", "--logprobs", "2"}));
  ASSERT_EQ(result.status, 0) << result.err;
  const json line = result.json()[0];
  ASSERT_EQ(line["tokens"].size(), 12u);
  std::string text;
  for (const json& token : line["tokens"]) {
    text += token["text"].get<std::string>();
    ASSERT_EQ(token["top"].size(), 2u);
    EXPECT_EQ(token["top"][0]["id"], token["id"]);
    EXPECT_EQ(token["top"][0]["logprob"], token["logprob"]);
    EXPECT_LE(token["logprob"].get<double>(), 0);
  }
  EXPECT_EQ(text, line["text"]);
}

TEST(Generate, TakesQuantizedWeightsAndGgufFiles) {
  const TemporaryDirectory directory;
  const std::string file = (directory / "toy.gguf").string();
  ASSERT_EQ(run({"quantize", kToyGen.string(), file, "--bits", "8"}).status, 0);
  const Arguments prompt = {"--prompt", "Hi", "--format", "guard", "--max-tokens", "12"};
  const auto text = [&](Arguments model) {
    Arguments arguments = {"generate"};
    arguments.insert(arguments.end(), model.begin(), model.end());
    arguments.insert(arguments.end(), prompt.begin(), prompt.end());
    const Outcome result = run(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  };
  const std::string stored = text({"--model", kToyGen.string()});
  EXPECT_EQ(text({"--model", file}), stored);
  EXPECT_EQ(text({"--model", kToyGen.string(), "--weights", "q8"}), stored);
}

TEST(Generate, SaysWhatIsWrong) {
  const auto refused = [](const Arguments& arguments, const std::string& code) {
    const Outcome result = run(arguments);
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_NE(result.err.find("[" + code + "]"), std::string::npos) << result.err;
  };
  refused(generate({}), "invalid_argument");
  refused(generate({"-", "--prompt", "Hi"}), "invalid_argument");
  refused(generate({"--prompt", "Hi", "--logprobs", "1"}), "invalid_argument");
  refused({"generate", "--model", shared_checkpoint().string(), "--prompt", "Hi"}, "unsupported");
  refused(generate({"/nowhere.jsonl"}), "not_found");
  const Outcome wrong = run(generate({"--prompt", "Hi", "--top-p", "2"}));
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.err.find("top_p"), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace qwen3guard::apps::test
