// Rules: which of them a request finds, and what it then gets.
#include "gateway/rules.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "chat_fixture.h"
#include "guard_fixture.h"
#include "running_gateway.h"
#include "scripted_upstream.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {
namespace {

using nlohmann::json;
using server::test::Client;
using Peer = ScriptedUpstream::Peer;

Rules parsed(const json& file) {
  auto rules = Rules::parse(file.dump());
  EXPECT_TRUE(rules.ok()) << rules.error().message;
  return rules.ok() ? *rules : Rules();
}

TEST(Rules, PatternsMatchWholeTextsInEitherCase) {
  for (const auto& [pattern, text] :
       {std::pair("", ""), std::pair("*", ""), std::pair("*", "a/b"), std::pair("a*", "A"),
        std::pair("*b*d", "abbcd"), std::pair("/v1/*", "/V1/chat"), std::pair("a**b", "ab")}) {
    EXPECT_TRUE(matches_pattern(pattern, text)) << pattern << " " << text;
  }
  for (const auto& [pattern, text] :
       {std::pair("", "a"), std::pair("a", ""), std::pair("a", "ab"), std::pair("*b", "abc"),
        std::pair("a?", "ab"), std::pair("a*b*c", "acb")}) {
    EXPECT_FALSE(matches_pattern(pattern, text)) << pattern << " " << text;
  }
  // Nested repetition must not take for ever.
  EXPECT_FALSE(matches_pattern("*a*a*a*a*a*a*a*a*a*b", std::string(100'000, 'a')));
}

TEST(Rules, TheFirstThatMatchesInEveryPartWins) {
  const Rules rules = parsed({{"version", 1},
                              {"policies", {{"tutor", {{"threshold", 0.25}}}}},
                              {"rules",
                               {{{"route", "/a/*"}, {"model", "m*"}, {"policy", "loose"}},
                                {{"client", "alice"}, {"policy", "tutor"}, {"mode", "audit"}},
                                {{"headers", {{"x-team", "red"}, {"x-tier", "*"}}},
                                 {"policy", "strict"},
                                 {"on_flag", "replace"},
                                 {"replacement", "No."}}}}});
  const std::vector<server::Header> none, red = {{"X-Team", "blue"}, {"X-TEAM", "Red"}},
                                          both = {{"x-team", "red"}, {"X-Tier", ""}};
  const Rule* found = rules.find({"/a/chat", "m1", "alice", none});
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->policy.name(), "loose");
  found = rules.find({"/a/chat", "n", "alice", none});
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->policy.name(), "tutor");
  EXPECT_EQ(found->policy.rules(Target::kResponse)[0].threshold, 0.25f);
  AnswerOptions options;
  options.replacement = "Sorry.";
  EXPECT_EQ(found->applied_to(options).filter.mode, ResponseMode::kAudit);
  EXPECT_TRUE(found->applied_to(options).fails_open());
  EXPECT_EQ(found->applied_to(options).replacement, "Sorry.");
  EXPECT_EQ(rules.find({"/b", "n", "", none}), nullptr);
  EXPECT_EQ(rules.find({"/b", "n", "", red}), nullptr);
  found = rules.find({"/b", "n", "", both});
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->applied_to(options).on_flag, OnFlag::kReplace);
  EXPECT_EQ(found->applied_to(options).replacement, "No.");
  EXPECT_EQ(found->applied_to(options).filter.mode, ResponseMode::kHold);
}

TEST(Rules, WhatIsWrongIsNamed) {
  const auto refused = [](const char* text, const char* named) {
    const auto rules = Rules::parse(text);
    ASSERT_FALSE(rules.ok()) << text;
    EXPECT_NE(rules.error().message.find(named), std::string::npos) << rules.error().message;
  };
  refused("{", "");
  refused("[]", "object");
  refused(R"({"rules": []})", "version");
  refused(R"({"version": 2, "rules": []})", "version");
  refused(R"({"version": 1})", "rules");
  refused(R"({"version": 1, "rules": [], "rule": []})", "rule");
  refused(R"({"version": 1, "rules": [{"policy": "strict"}, {"polcy": "strict"}]})", "rule 2");
  refused(R"({"version": 1, "rules": [{"model": "m"}]})", "policy");
  refused(R"({"version": 1, "rules": [{"policy": "mine"}]})", "mine");
  refused(R"({"version": 1, "rules": [{"policy": "strict", "mode": "halt"}]})", "halt");
  refused(R"({"version": 1, "rules": [{"policy": "strict", "on_flag": 1}]})", "on_flag");
  refused(R"({"version": 1, "rules": [{"policy": "strict", "headers": ["a"]}]})", "headers");
  refused(R"({"version": 1, "rules": [{"policy": "strict", "headers": {"a": 1}}]})", "'a'");
  refused(
      R"({"version": 1, "rules": [{"policy": "strict", "mode": "cut", "on_flag": "rollback"}]})",
      "rollback");
  refused(R"({"version": 1, "policies": {"strict": {}}, "rules": []})", "strict");
  refused(R"({"version": 1, "policies": {"x": {"tresh": 1}}, "rules": []})", "tresh");
  refused(R"({"version": 1, "policies": {"x": {"name": "y"}}, "rules": []})", "'x'");
}

class RulesFile {
 public:
  explicit RulesFile(const json& rules) { write(rules.dump()); }
  ~RulesFile() { std::filesystem::remove(path_); }
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  const std::string& path() const { return path_; }

 private:
  const std::string path_ =
      (std::filesystem::temp_directory_path() / ("rules-" + std::to_string(::getpid()) + ".json"))
          .string();
};

json rules_of(const json& rules) {
  const json careful = {{"threshold", dividing_threshold()}, {"prompt", {{"action", "allow"}}}};
  const json careless = {{"action", "allow"}};
  return {{"version", 1},
          {"policies", {{"careful", careful}, {"careless", careless}}},
          {"rules", rules}};
}

TEST(Rules, EachRequestIsGuardedByItsOwn) {
  ScriptedUpstream upstream([](Peer& peer) {
    peer.read_request();
    peer.send_plain(completion(kHarmful));
  });
  const RulesFile file(rules_of(
      {{{"model", "m"}, {"policy", "careful"}, {"on_flag", "replace"}, {"replacement", "No."}},
       {{"route", "/team/*"}, {"policy", "careful"}, {"mode", "audit"}},
       {{"headers", {{"x-trust", "yes"}}}, {"policy", "careless"}}}));
  GatewayOptions options;
  options.rules_file = file.path();
  RunningGateway gateway(upstream.port(), options, policy());
  Client client(gateway.port());
  const auto choice = [&](const std::string& path, const std::string& model,
                          const server::test::Headers& headers) {
    json asked = request(false);
    asked["model"] = model;
    return client.post(path, asked, headers).json()["choices"][0];
  };
  const std::string safe = kHarmful.substr(0, safe_bytes(kHarmful, policy()));
  json found = choice(kPath, "m", {});
  EXPECT_EQ(found["message"]["content"], safe + "No.");
  EXPECT_EQ(found["qwen3guard"]["policy"], "careful");
  found = choice("/team/v1/chat/completions", "other", {});
  EXPECT_EQ(found["message"]["content"], kHarmful);
  EXPECT_EQ(found["qwen3guard"]["policy"], "careful");
  found = choice(kPath, "other", {{"X-Trust", "yes"}});
  EXPECT_EQ(found["message"]["content"], kHarmful);
  EXPECT_FALSE(found.contains("qwen3guard"));
  found = choice(kPath, "other", {{"X-Trust", "no"}});
  EXPECT_EQ(found["message"]["content"], safe);
  EXPECT_EQ(found["finish_reason"], "content_filter");
}

TEST(Rules, AReloadTouchesNoStreamAndABrokenFileNothing) {
  std::promise<void> begun, reloaded;
  const auto go_on = reloaded.get_future().share();
  ScriptedUpstream upstream([&](Peer& peer) {
    if (peer.read_request().find("X-Slow") == std::string::npos) {
      return peer.send_plain(completion(kHarmful));
    }
    peer.send_stream_head();
    const std::size_t half = kHarmful.size() / 2;
    peer.send_chunk(event({{"content", kHarmful.substr(0, half)}}));
    begun.set_value();
    go_on.wait();
    peer.send_chunk(event({{"content", kHarmful.substr(half)}}) + event(json::object(), "stop") +
                    sse_event("[DONE]"));
    peer.end_stream();
  });
  const RulesFile file(rules_of({{{"policy", "careless"}}}));
  GatewayOptions options;
  options.rules_file = file.path();
  options.prompt_first = true;  // whose upstream is asked has its rules
  RunningGateway gateway(upstream.port(), options, policy());
  auto stream = std::async(std::launch::async, [&] {
    Client client(gateway.port());
    return receive(client.post(kPath, request(), {{"X-Slow", "1"}}).body);
  });
  begun.get_future().wait();
  Client client(gateway.port());
  const auto finish = [&] {
    return client.post(kPath, request(false)).json()["choices"][0]["finish_reason"];
  };
  EXPECT_EQ(finish(), "stop");
  file.write(rules_of({{{"policy", "careful"}}}).dump());
  gateway.reload();
  EXPECT_EQ(finish(), "content_filter");
  for (const char* broken : {"", "{", R"({"version": 1, "rules": [{"policy": "none"}]})"}) {
    file.write(broken);
    gateway.reload();
    EXPECT_EQ(finish(), "content_filter") << broken;
  }
  reloaded.set_value();
  const Received received = stream.get();
  EXPECT_EQ(received.content.at(0), kHarmful);
  EXPECT_EQ(received.finish.at(0), "stop");
}

TEST(Rules, ABrokenFileStartsNoGateway) {
  const RulesFile file(json{{"version", 1}});
  GatewayOptions options;
  options.rules_file = file.path();
  options.server.listen = "127.0.0.1:0";
  options.upstream = *parse_url("http://127.0.0.1:1");
  const auto server = start_gateway(boxed_guard(), policy(), options);
  ASSERT_FALSE(server.ok());
  EXPECT_NE(server.error().message.find(file.path()), std::string::npos);
}

}  // namespace
}  // namespace qwen3guard::gateway::test
