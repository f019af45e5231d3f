#include "gateway/completion_stream.h"

#include <gtest/gtest.h>

#include "guard_fixture.h"

namespace qwen3guard::gateway::test {
namespace {

using nlohmann::json;

std::string one_answer(const std::string& text) {
  return event({{"role", "assistant"}}) + event({{"content", text}}) +
         event(json::object(), "stop") + sse_event("[DONE]");
}

AnswerOptions mode(ResponseMode mode) {
  AnswerOptions options;
  options.filter.mode = mode;
  return options;
}

TEST(CompletionStream, TheFixtureIsFlaggedInTheMiddle) {
  EXPECT_EQ(safe_bytes(kHarmless, policy()), kHarmless.size());
  EXPECT_GT(safe_bytes(kHarmful, policy()), 10u);
  EXPECT_LT(safe_bytes(kHarmful, policy()), kHarmful.size());
}

TEST(CompletionStream, SafeAnswersArriveWholeInEveryMode) {
  for (const ResponseMode each :
       {ResponseMode::kHold, ResponseMode::kChunked, ResponseMode::kCut, ResponseMode::kAudit}) {
    CompletionStream guarded = stream(mode(each), policy());
    const Received received = pass(guarded, one_answer(kHarmless));
    EXPECT_EQ(received.content.at(0), kHarmless);
    EXPECT_EQ(received.finish.at(0), "stop");
    EXPECT_TRUE(received.done && guarded.ended() && !guarded.blocked());
    EXPECT_EQ(received.chunks.back()["choices"][0].contains("qwen3guard"),
              each == ResponseMode::kAudit);
  }
}

TEST(CompletionStream, CutPassesTextOnBeforeItIsJudgedAndCountsWhatLeaked) {
  CompletionStream guarded = stream(mode(ResponseMode::kCut), policy());
  ASSERT_TRUE(guarded.feed(event({{"content", kHarmful}})).ok());
  EXPECT_EQ(receive(guarded.take()).content.at(0), kHarmful);
  ASSERT_TRUE(guarded.judge().ok());
  ASSERT_TRUE(guarded.feed(event({{"content", "more"}})).ok());
  const Received rest = receive(guarded.take());
  EXPECT_EQ(rest.content.count(0), 0u);
  EXPECT_EQ(rest.finish.at(0), "content_filter");
  EXPECT_TRUE(rest.done);
  EXPECT_EQ(guarded.leaked_characters(), kHarmful.size() - safe_bytes(kHarmful, policy()));
}

TEST(CompletionStream, ChunkedSendsWholeBlocksOnly) {
  AnswerOptions options = mode(ResponseMode::kChunked);
  {
    CompletionStream guarded = stream(options, policy());
    EXPECT_EQ(pass(guarded, one_answer(kHarmful)).content.at(0), "First, find a dry branch.");
  }
  options.filter.block_characters = 7;
  CompletionStream guarded = stream(options, policy());
  const std::size_t safe = safe_bytes(kHarmful, policy());
  EXPECT_EQ(pass(guarded, one_answer(kHarmful)).content.at(0), kHarmful.substr(0, safe - safe % 7));

  CompletionStream pieces = stream(options, policy());
  const Received some = pass(pieces, event({{"content", "First, find a dry branch"}}));
  EXPECT_EQ(some.content.at(0).size() % 7, 0u);
}

TEST(CompletionStream, AuditOnlyReports) {
  CompletionStream guarded = stream(mode(ResponseMode::kAudit), policy());
  const Received received = pass(guarded, one_answer(kHarmful));
  EXPECT_EQ(received.content.at(0), kHarmful);
  EXPECT_EQ(received.finish.at(0), "stop");
  EXPECT_EQ(received.chunks.back()["choices"][0]["qwen3guard"]["decision"], "block");
  EXPECT_EQ(guarded.verdicts().at(0).decision, Decision::kBlock);
}

TEST(CompletionStream, AFlagStopsOrReplaces) {
  AnswerOptions options;
  options.on_flag = OnFlag::kReplace;
  options.replacement = " I cannot help with that.";
  CompletionStream guarded = stream(options, policy());
  const Received received = pass(guarded, one_answer(kHarmful));
  EXPECT_EQ(received.content.at(0),
            kHarmful.substr(0, safe_bytes(kHarmful, policy())) + options.replacement);
  EXPECT_EQ(received.finish.at(0), "content_filter");
  EXPECT_EQ(received.chunks.back()["id"], "chatcmpl-1");
}

TEST(CompletionStream, ChoicesAreGuardedEachByItself) {
  CompletionStream guarded = stream({}, policy(), 3);
  const Received received = pass(
      guarded,
      event({{"content", kHarmless}}, nullptr, 2) + event({{"content", kHarmful}}, nullptr, 0) +
          event({{"content", kHarmless}}, nullptr, 1) + event({{"content", "after"}}, nullptr, 0) +
          event(json::object(), "stop", 2) + event(json::object(), "length", 1));
  EXPECT_EQ(received.content.at(0), kHarmful.substr(0, safe_bytes(kHarmful, policy())));
  EXPECT_EQ(received.content.at(1), kHarmless);
  EXPECT_EQ(received.content.at(2), kHarmless);
  EXPECT_EQ(received.finish.at(0), "content_filter");
  EXPECT_EQ(received.finish.at(1), "length");
  // No choice is left that anybody reads.
  EXPECT_TRUE(received.done && guarded.ended());
}

TEST(CompletionStream, ThinkingIsJudgedAndHeld) {
  CompletionStream guarded = stream({}, policy());
  const std::string bytes = event({{"reasoning_content", kHarmless + "\n"}}) +
                            event({{"content", "Done."}}, "stop") + sse_event("[DONE]");
  const Received safe = pass(guarded, bytes);
  EXPECT_EQ(safe.thinking.at(0), kHarmless + "\n");
  EXPECT_EQ(safe.content.at(0), "Done.");

  CompletionStream blocked = stream({}, policy());
  const Received received = pass(blocked, event({{"reasoning", "a"}, {"content", nullptr}}) +
                                              event({{"reasoning_content", kHarmful}}) +
                                              event({{"content", "Done."}}, "stop"));
  EXPECT_EQ(received.finish.at(0), "content_filter");
  EXPECT_EQ(received.content.count(0), 0u);
  EXPECT_LT(received.thinking.at(0).size(), kHarmful.size());

  // Thinking after the answer is judged, too.
  CompletionStream late = stream({}, policy());
  EXPECT_EQ(pass(late, event({{"content", "Done."}}) + event({{"reasoning_content", kHarmful}}) +
                           event(json::object(), "stop"))
                .finish.at(0),
            "content_filter");
}

std::string call_event(std::size_t index, const json& name, const std::string& arguments) {
  json function = {{"arguments", arguments}};
  if (!name.is_null()) function["name"] = name;
  return event(
      {{"tool_calls", {{{"index", index}, {"type", "function"}, {"function", function}}}}});
}

TEST(CompletionStream, FunctionCallsAreJudged) {
  CompletionStream guarded = stream({}, policy());
  const Received safe =
      pass(guarded, call_event(0, "carve", R"({"wood":)") + call_event(0, nullptr, R"( "oak"})") +
                        call_event(1, "carve", "{}") + event(json::object(), "tool_calls") +
                        sse_event("[DONE]"));
  EXPECT_EQ(safe.finish.at(0), "tool_calls");
  EXPECT_EQ(safe.chunks.size(), 4u);
  EXPECT_EQ(
      guarded.verdicts().at(0).tokens,
      boxed_guard()
          .moderate({question()[0], {Role::kAssistant, "carve({\"wood\": \"oak\"})\ncarve({})"}},
                    policy())
          ->tokens);

  CompletionStream blocked = stream({}, policy());
  const Received received =
      pass(blocked, call_event(0, "send", "{\"text\": \"") + call_event(0, nullptr, kHarmful) +
                        call_event(0, nullptr, "\"}") + event(json::object(), "tool_calls"));
  EXPECT_EQ(received.finish.at(0), "content_filter");
  EXPECT_EQ(json(received.chunks).dump().find("ammonia"), std::string::npos);
}

TEST(CompletionStream, TextInOtherKeysIsJudged) {
  for (const char* key : {"refusal", "audio", "unknown"}) {
    const json value =
        key == std::string("audio") ? json{{"transcript", kHarmful}} : json(kHarmful);
    CompletionStream guarded = stream({}, policy());
    const Received received =
        pass(guarded, event({{key, value}}) + event(json::object(), "stop") + sse_event("[DONE]"));
    EXPECT_EQ(received.finish.at(0), "content_filter") << key;
    EXPECT_EQ(json(received.chunks).dump().find("ammonia"), std::string::npos) << key;

    CompletionStream harmless = stream({}, policy());
    const Received kept = pass(harmless, event({{key, "a spoon"}}) + event(json::object(), "stop"));
    EXPECT_EQ(kept.chunks[0]["choices"][0]["delta"][key], "a spoon");
  }
}

TEST(CompletionStream, TheOrderOfChunksIsKept) {
  CompletionStream guarded = stream({}, policy());
  const json usage = {
      {"id", "chatcmpl-1"}, {"choices", json::array()}, {"usage", {{"total_tokens", 3}}}};
  json logprobs = json::parse(event({{"content", "First"}}).substr(6));
  logprobs["choices"][0]["logprobs"] = {{"content", {{{"token", "First"}, {"logprob", -0.5}}}}};
  logprobs["system_fingerprint"] = "fp";
  const std::string first = sse_event(R"({"choices":[],"prompt_filter_results":[]})") +
                            event({{"role", "assistant"}, {"content", ""}}) +
                            sse_event(logprobs.dump());
  const Received before = pass(guarded, first);
  ASSERT_EQ(before.chunks.size(), 2u);  // what is certain before more is known
  EXPECT_TRUE(before.chunks[0].contains("prompt_filter_results"));
  EXPECT_EQ(before.chunks[1]["choices"][0]["delta"]["role"], "assistant");
  const Received after = pass(guarded, event({{"content", " on"}}) + event(json::object(), "stop") +
                                           sse_event(usage.dump()) + sse_event("[DONE]"));
  ASSERT_EQ(after.chunks.size(), 4u);
  EXPECT_EQ(after.chunks[0], logprobs);
  EXPECT_EQ(after.chunks[3], usage);
  EXPECT_TRUE(after.done);
}

TEST(CompletionStream, LogProbabilitiesDoNotRunAheadOfTheirText) {
  CompletionStream guarded = stream({}, policy());
  json ahead = json::parse(event({{"content", ""}}).substr(6));
  ahead["choices"][0]["logprobs"] = {{"content", json::array()}};
  for (const char* token : {" ammonia", " kill"}) {
    ahead["choices"][0]["logprobs"]["content"].push_back({{"token", token}, {"logprob", -1}});
  }
  const Received received = pass(guarded, sse_event(ahead.dump()));
  EXPECT_TRUE(received.chunks.empty());
}

TEST(CompletionStream, TextAroundTheChoicesIsJudgedWithEachOfThem) {
  json chunk = json::parse(event({{"content", "a "}}, nullptr, 1).substr(6));
  chunk["choices"].push_back({{"index", 0}, {"delta", {{"content", "b "}}}});
  chunk["note"] = kHarmful;
  CompletionStream guarded = stream({}, policy(), 2);
  const Received received =
      pass(guarded, sse_event(chunk.dump()) + sse_event(chunk.dump()) +
                        event(json::object(), "stop", 0) + event(json::object(), "stop", 1));
  EXPECT_EQ(received.finish.at(0), "content_filter");
  EXPECT_EQ(received.finish.at(1), "content_filter");
  EXPECT_EQ(json(received.chunks).dump().find("kill"), std::string::npos);
}

TEST(CompletionStream, EventsThatWaitAreLimited) {
  AnswerOptions options;
  options.held_event_bytes = 10'000;
  CompletionStream guarded = stream(options, policy());
  Status status;
  for (int i = 0; status.ok() && i < 100; ++i) {
    // Newlines stay undecided as long as nothing else comes.
    EXPECT_TRUE(guarded.feed(event({{"content", "\n"}, {"unknown", json(i)}})).ok());
    status = guarded.judge();
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kTooLong);
}

TEST(CompletionStream, WhatIsNoChatCompletionIsAnError) {
  const std::vector<std::string> wrong = {
      sse_event("{"),
      sse_event("[]"),
      sse_event("hello"),
      sse_event(R"({"error":{"message":"out of memory"}})"),
      sse_event(R"({"choices":{}})"),
      sse_event(R"({"choices":[5]})"),
      sse_event(R"({"choices":[{"index":-1}]})"),
      sse_event(R"({"choices":[{"index":1}]})"),
      sse_event(R"({"choices":[{"index":0,"delta":5}]})"),
      sse_event(R"({"choices":[{"index":0,"finish_reason":5}]})"),
      sse_event(R"({"choices":[{"index":0,"delta":{"tool_calls":[5]}}]})"),
      sse_event(R"({"choices":[],"text":"a sentence to nobody"})"),
      sse_event("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xFF\"}}]}"),
      sse_event(R"({"choices":[{"index":0,"delta":{"content":"\ud800"}}]})"),
      event({{"content", "a"}}, "stop") + event({{"content", "b"}}),
      event({{"content", "a"}}, "stop") + event(json::object(), "stop"),
      "data: " + std::string(2u << 20, 'a'),
  };
  for (const std::string& bytes : wrong) {
    CompletionStream guarded = stream({}, policy());
    EXPECT_FALSE(guarded.feed(bytes).ok()) << bytes.substr(0, 80);
    guarded.fail("upstream_failed", "it broke");
    const Received received = receive(guarded.take());
    EXPECT_EQ(received.error, "upstream_failed");
    EXPECT_EQ(received.chunks.size(), 1u);
    EXPECT_TRUE(guarded.ended() && !received.done);
  }
}

TEST(CompletionStream, AnUpstreamThatEndsTooEarlyIsAnError) {
  CompletionStream early = stream({}, policy());
  pass(early, event({{"content", kHarmless}}));
  EXPECT_FALSE(early.feed_end().ok());
  CompletionStream no_done = stream({}, policy());
  pass(no_done, event({{"content", kHarmless}}, "stop"));
  EXPECT_TRUE(no_done.feed_end().ok());
  EXPECT_TRUE(receive(no_done.take()).done);
}

TEST(CompletionStream, WhatCannotBeJudgedIsNotSentUnlessAskedFor) {
  AnswerOptions options;
  options.filter.text_bytes = 100;
  CompletionStream closed = stream(options, policy());
  ASSERT_TRUE(closed.feed(event({{"content", std::string(200, 'a')}})).ok());
  EXPECT_FALSE(closed.judge().ok());
  EXPECT_EQ(closed.take(), "");

  options.fail_open = true;
  CompletionStream open = stream(options, policy());
  const Received received = pass(open, one_answer(std::string(200, 'a') + kHarmful));
  EXPECT_EQ(received.content.at(0), std::string(200, 'a') + kHarmful);
  EXPECT_TRUE(open.failed_open() && received.done);
}

}  // namespace
}  // namespace qwen3guard::gateway::test
