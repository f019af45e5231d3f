// `qwen3guard stream`, run as a user runs it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "apps/demo.h"
#include "apps/terminal.h"
#include "checkpoint_fixture.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

using nlohmann::json;

const std::string kText = "Hello there. 你好，世界！ Something else follows here.";
const Environment kTerminal = {{"NO_COLOR", ""}, {"TERM", "xterm"}};

Arguments stream(Arguments more) {
  Arguments arguments = {"stream", "--model", shared_checkpoint().string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

class Stream : public ::testing::Test {
 protected:
  void SetUp() override {
    write_text(all_, R"({"version": 1, "threshold": 0.000001})");
    write_text(none_, R"({"version": 1, "action": "allow"})");
  }
  const TemporaryDirectory directory_;
  const std::filesystem::path all_ = directory_ / "all.json";
  const std::filesystem::path none_ = directory_ / "none.json";
};

TEST_F(Stream, JsonHasOneObjectATokenAndAgreesWithModerate) {
  const Outcome result =
      run(stream({"--prompt", "Hi", "--json", "--policy", all_.string()}), kText);
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = result.json();
  ASSERT_GE(lines.size(), 4u);
  EXPECT_EQ(lines.front()["type"], "prompt");
  EXPECT_EQ(lines.back()["type"], "response");
  EXPECT_EQ(lines.back()["stopped"], false);
  std::string text;
  std::size_t flags = 0;
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["type"], "token");
    EXPECT_EQ(lines[i]["token"], i - 1);
    text += lines[i]["text"].get<std::string>();
    if (lines[i]["flagged"] == true) {
      ++flags;
      EXPECT_EQ(lines[i]["token"], lines.back()["flagged"]["token"]);
      EXPECT_EQ(lines[i]["byte"], lines.back()["flagged"]["byte"]);
      EXPECT_EQ(lines[i]["char"], lines.back()["flagged"]["char"]);
    }
  }
  EXPECT_EQ(text, kText);
  EXPECT_EQ(flags, 1u);

  const Outcome whole = run({"moderate", "--model", shared_checkpoint().string(), "--prompt", "Hi",
                             "--response", kText, "--json", "--policy", all_.string()});
  json expected = whole.json().at(0);
  expected.erase("id");
  json found = lines.back();
  found.erase("type");
  found.erase("stopped");
  // The same numbers up to rounding: how the text was cut must not matter beyond that.
  for (const char* key : {"risk", "category", "flagged", "decision", "tokens"}) {
    EXPECT_EQ(found[key], expected[key]) << key;
  }
  for (const auto& [name, value] : expected["probabilities"].items()) {
    EXPECT_NEAR(found["probabilities"][name].get<double>(), value.get<double>(), 1e-4);
  }
}

TEST_F(Stream, StopShowsNothingFromTheFlagOn) {
  const Outcome result = run(stream({"--json", "--stop", "--policy", all_.string()}), kText);
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = result.json();
  ASSERT_EQ(lines.size(), 3u) << result.out;  // token 0, the flagged one, response
  EXPECT_EQ(lines[1]["flagged"], true);
  EXPECT_TRUE(lines[1]["text"].is_null());
  EXPECT_EQ(lines[2]["stopped"], true);
  EXPECT_EQ(lines[0]["text"], kText.substr(0, lines[1]["byte"].get<std::size_t>()));

  const Outcome plain = run(stream({"--stop", "--policy", all_.string()}), kText);
  EXPECT_EQ(plain.out.find("Something"), std::string::npos);
  EXPECT_NE(plain.out.find("[FLAG"), std::string::npos);
}

TEST_F(Stream, PlainTextHasMarkersAndColourOnlyOnATerminal) {
  const Arguments arguments = stream({"--prompt", "Hi", "--policy", all_.string()});
  const Outcome plain = run(arguments, kText, kTerminal);
  EXPECT_EQ(plain.out.find('\x1b'), std::string::npos);
  EXPECT_NE(plain.out.find("[FLAG"), std::string::npos);
  EXPECT_NE(plain.out.find("response"), std::string::npos);
  EXPECT_NE(run_on_terminal(arguments, kText, kTerminal).out.find("\x1b["), std::string::npos);
  EXPECT_EQ(
      run_on_terminal(arguments, kText, {{"NO_COLOR", "1"}, {"TERM", "xterm"}}).out.find('\x1b'),
      std::string::npos);
  Arguments always = arguments;
  always.insert(always.end(), {"--color", "always"});
  EXPECT_NE(run(always, kText).out.find("\x1b["), std::string::npos);
}

TEST_F(Stream, ContentCannotReachTheTerminal) {
  const std::string evil =
      "a\x1b]0;owned\x07 b\x1b[2J c\xc2\x9b"
      "31m d\rhidden \xe2\x80\xae"
      "flipped";
  const Outcome result = run(stream({"--prompt", "p\x1b[8m", "--policy", none_.string()}), evil);
  ASSERT_EQ(result.status, 0) << result.err;
  for (const char* bad : {"\x1b", "\x07", "\xc2\x9b", "\r", "\xe2\x80\xae"}) {
    EXPECT_EQ(result.out.find(bad), std::string::npos);
  }
  for (const char* escaped : {"\\x1b", "\\x07", "\\u009b", "\\x0d", "\\u202e"}) {
    EXPECT_NE(result.out.find(escaped), std::string::npos) << escaped << "\n" << result.out;
  }
  const Outcome coloured = run_on_terminal(stream({"--prompt", "p\x1b[8m"}), evil, kTerminal);
  for (const char* bad : {"\x1b]", "\x1b[2J", "\x1b[8m", "\x07"}) {
    EXPECT_EQ(coloured.out.find(bad), std::string::npos);
  }
}

TEST_F(Stream, WhatCannotBeJudgedIsNeverSafe) {
  const Outcome invalid = run(stream({}), "fine so far \xff\xfe and on");
  EXPECT_EQ(invalid.status, 1);
  EXPECT_NE(invalid.err.find("[invalid_utf8]"), std::string::npos) << invalid.err;
  EXPECT_NE(invalid.out.find("treat it as unsafe"), std::string::npos);
  const Outcome cut = run(stream({"--json"}), "ends inside a character \xe4\xb8");
  EXPECT_EQ(cut.status, 1);
  EXPECT_EQ(cut.json().back()["error"]["code"], "invalid_utf8");

  write_checkpoint(directory_ / "small", {.max_positions = 64});
  std::string words;
  for (int i = 0; i < 200; ++i) words += "word" + std::to_string(i) + " ";
  const Arguments small = {"stream", "--model", (directory_ / "small").string(), "--json"};
  const Outcome longer = run(small, words);
  EXPECT_EQ(longer.status, 1);
  EXPECT_EQ(longer.json().back()["error"]["code"], "too_long");
  Arguments slide = small;
  slide.insert(slide.end(), {"--overflow", "slide"});
  const Outcome slid = run(slide, words);
  EXPECT_EQ(slid.status, 0) << slid.err;
  EXPECT_EQ(slid.json().back()["window_slid"], true);

  write_checkpoint(directory_ / "nan", {.nan = true});
  const Outcome broken = run({"stream", "--model", (directory_ / "nan").string()}, "hello");
  EXPECT_NE(broken.status, 0);
  EXPECT_EQ(broken.out.find("Safe"), std::string::npos) << broken.out;
}

TEST_F(Stream, AnEmptyResponseIsJudgedToo) {
  const Outcome result = run(stream({"--json", "--policy", none_.string()}), "");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.json().back()["type"], "response");
}

TEST_F(Stream, AFullDiskIsNoticed) {
  const Environment environment = {{"MODEL", shared_checkpoint().string()}};
  for (const char* options : {"", "--json", "--demo --pace 0"}) {
    const Outcome result = shell(
        "echo hello | \"$QG\" stream --model \"$MODEL\" " + std::string(options) + " > /dev/full",
        environment);
    EXPECT_EQ(result.status, 2) << options << result.err;
    EXPECT_NE(result.err.find("No space left"), std::string::npos) << result.err;
  }
}

TEST_F(Stream, DemoShowsEveryConversation) {
  const Outcome result = run(stream({"--demo", "--policy", none_.string()}));
  ASSERT_EQ(result.status, 0) << result.err;
  std::size_t at = 0;
  for (const DemoConversation& conversation : demo_conversations()) {
    const std::size_t found = result.out.find(conversation.prompt, at);
    ASSERT_NE(found, std::string::npos) << conversation.prompt;
    at = found;
  }
  EXPECT_NE(result.out.find("thinking"), std::string::npos);
  EXPECT_EQ(run(stream({"--demo", "--json"})).status, 2);
}

}  // namespace
}  // namespace qwen3guard::apps::test
