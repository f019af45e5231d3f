// Answers that say what was found as Azure OpenAI does.
#include <gtest/gtest.h>

#include <algorithm>

#include "chat_fixture.h"
#include "gateway/azure_annotations.h"
#include "guard_fixture.h"
#include "running_gateway.h"
#include "scripted_upstream.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {
namespace {

using nlohmann::json;
using server::test::Answer;
using server::test::Client;
using Peer = ScriptedUpstream::Peer;

const json kSafe = {{"filtered", false}, {"severity", "safe"}};
const json kNothing = {{"filtered", false}, {"detected", false}};

GatewayOptions annotated() {
  GatewayOptions options;
  options.guard.annotations = Annotations::kAzure;
  return options;
}

Verdict found(Target target, Risk risk, Category category) {
  Verdict verdict;
  verdict.target = target;
  verdict.risk = risk;
  verdict.category = category;
  return verdict;
}

bool any_filtered(const json& results) {
  return std::any_of(results.begin(), results.end(),
                     [](const json& result) { return result["filtered"] == true; });
}

TEST(AzureAnnotations, EveryCategoryOfTheTargetIsThere) {
  Verdict safe;
  EXPECT_EQ(azure_results(safe, true), json({{"hate", kSafe},
                                             {"self_harm", kSafe},
                                             {"sexual", kSafe},
                                             {"violence", kSafe},
                                             {"jailbreak", kNothing}}));
  safe.target = Target::kResponse;
  EXPECT_EQ(azure_results(safe, false), json({{"hate", kSafe},
                                              {"self_harm", kSafe},
                                              {"sexual", kSafe},
                                              {"violence", kSafe},
                                              {"protected_material_text", kNothing}}));
}

TEST(AzureAnnotations, WhatWasFoundStandsUnderItsCategory) {
  json results = azure_results(found(Target::kResponse, Risk::kUnsafe, Category::kSelfHarm), true);
  EXPECT_EQ(results["self_harm"], json({{"filtered", true}, {"severity", "high"}}));
  EXPECT_EQ(results["violence"], kSafe);
  results =
      azure_results(found(Target::kResponse, Risk::kControversial, Category::kUnethical), false);
  EXPECT_EQ(results["hate"], json({{"filtered", false}, {"severity", "medium"}}));
  results = azure_results(found(Target::kResponse, Risk::kUnsafe, Category::kCopyright), true);
  EXPECT_EQ(results["protected_material_text"], json({{"filtered", true}, {"detected", true}}));
  results = azure_results(found(Target::kPrompt, Risk::kUnsafe, Category::kJailbreak), true);
  EXPECT_EQ(results["jailbreak"], json({{"filtered", true}, {"detected", true}}));
  EXPECT_FALSE(
      any_filtered(azure_results(found(Target::kPrompt, Risk::kUnsafe, Category::kPii), true)));
}

TEST(AzureAnnotations, StreamsCarryThemInEveryEvent) {
  ScriptedUpstream upstream(streaming(kHarmless));
  RunningGateway gateway(upstream.port(), annotated(), policy());
  Client client(gateway.port());
  const Received received = receive(client.post(kPath, request()).body);
  EXPECT_EQ(received.content.at(0), kHarmless);
  EXPECT_TRUE(received.done);
  ASSERT_GT(received.chunks.size(), 2u);
  const json& first = received.chunks.front();
  EXPECT_EQ(first["choices"], json::array());
  EXPECT_EQ(first["prompt_filter_results"][0]["prompt_index"], 0);
  EXPECT_TRUE(first["prompt_filter_results"][0]["content_filter_results"].contains("jailbreak"));
  for (std::size_t i = 1; i < received.chunks.size(); ++i) {
    const json& results = received.chunks[i]["choices"][0]["content_filter_results"];
    EXPECT_EQ(results["violence"]["filtered"], false) << received.chunks[i];
  }
}

TEST(AzureAnnotations, AFlaggedStreamEndsWithWhatWasFound) {
  for (const ResponseMode mode : {ResponseMode::kHold, ResponseMode::kCut}) {
    ScriptedUpstream upstream(streaming(kHarmful));
    GatewayOptions options = annotated();
    options.guard.filter.mode = mode;
    RunningGateway gateway(upstream.port(), options, policy());
    Client client(gateway.port());
    const Received received = receive(client.post(kPath, request()).body);
    const json& last = received.chunks.back()["choices"][0];
    EXPECT_EQ(last["finish_reason"], "content_filter");
    EXPECT_TRUE(any_filtered(last["content_filter_results"])) << last;
    // What passes unjudged must not look as if it had been found harmless.
    const json& text = received.chunks.at(1)["choices"][0];
    EXPECT_EQ(text.contains("content_filter_results"), mode == ResponseMode::kHold);
  }
}

TEST(AzureAnnotations, PlainAnswersCarryThem) {
  ScriptedUpstream upstream([](Peer& peer) {
    const bool harmful = peer.read_request().find("X-Harm") != std::string::npos;
    peer.send_plain(completion(harmful ? kHarmful : kHarmless));
  });
  RunningGateway gateway(upstream.port(), annotated(), policy());
  Client client(gateway.port());
  const json safe = client.post(kPath, request(false)).json();
  EXPECT_EQ(safe["choices"][0]["message"]["content"], kHarmless);
  EXPECT_EQ(safe["choices"][0]["content_filter_results"]["hate"], kSafe);
  EXPECT_EQ(safe["prompt_filter_results"].size(), 1u);
  const json flagged = client.post(kPath, request(false), {{"X-Harm", "1"}}).json();
  EXPECT_TRUE(any_filtered(flagged["choices"][0]["content_filter_results"])) << flagged;
  EXPECT_EQ(flagged["prompt_filter_results"].size(), 1u);
}

TEST(AzureAnnotations, ABlockedPromptIsAnErrorThatSaysWhy) {
  ScriptedUpstream upstream([](Peer& peer) { peer.read_request(); });
  RunningGateway gateway(upstream.port(), annotated(),
                         *Policy::parse(R"({"version":1,"threshold":0.0001})"));
  Client client(gateway.port());
  const Answer answer = client.post(kPath, request());
  EXPECT_EQ(answer.status, 400);
  const json error = answer.json()["error"];
  EXPECT_EQ(error["code"], "content_filter");
  EXPECT_EQ(error["innererror"]["code"], "ResponsibleAIPolicyViolation");
  EXPECT_TRUE(error["innererror"]["content_filter_result"].contains("violence"));
}

// Azure itself may be the upstream: what it found is no text of the answer.
TEST(AzureAnnotations, TheUpstreamsOwnAreNotJudged) {
  const json theirs = {{"hate", kSafe}, {"jailbreak", kNothing}};
  const json first = {
      {"id", ""},
      {"choices", json::array()},
      {"prompt_filter_results", {{{"prompt_index", 0}, {"content_filter_results", theirs}}}}};
  CompletionStream guarded = stream({}, policy());
  ASSERT_TRUE(guarded.feed(sse_event(first.dump())).ok());
  json text = {{"index", 0}, {"delta", {{"content", "Carve. "}}}, {"finish_reason", nullptr}};
  text["content_filter_results"] = theirs;
  const json chunk = {{"id", "1"}, {"choices", {text}}};
  const Received received =
      pass(guarded, sse_event(chunk.dump()) + event(json::object(), "stop") + sse_event("[DONE]"));
  EXPECT_EQ(received.content.at(0), "Carve. ");
  EXPECT_EQ(received.chunks.front(), first);
  EXPECT_TRUE(received.done);
}

}  // namespace
}  // namespace qwen3guard::gateway::test
