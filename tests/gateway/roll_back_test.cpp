// Flagged answers that the upstream writes anew: what was sent stays, what was not is taken back.
#include "gateway/roll_back.h"

#include <gtest/gtest.h>

#include <mutex>

#include "chat_fixture.h"
#include "guard_fixture.h"
#include "random_answers.h"
#include "running_gateway.h"
#include "scripted_upstream.h"
#include "server/client.h"

namespace qwen3guard::gateway::test {
namespace {

using nlohmann::json;
using server::test::Answer;
using server::test::Client;
using Peer = ScriptedUpstream::Peer;

// Long enough that something of it has left a buffer of kBuffer tokens before the flag.
const std::string kLate = kHarmless + " " + kHarmless + " " + kHarmful;
const std::string kRest = " Then carve along the grain.";
constexpr std::size_t kBuffer = 40;

GatewayOptions rolling_back(std::size_t retries = 5) {
  GatewayOptions options;
  options.guard.on_flag = OnFlag::kRollBack;
  options.guard.roll_back.buffer = kBuffer;
  options.guard.roll_back.retries = retries;
  return options;
}

// Answers each request with the next text, the last one again and again; keeps the bodies.
class Telling {
 public:
  explicit Telling(std::vector<std::string> texts)
      : texts_(std::move(texts)), upstream_([this](Peer& peer) { tell(peer); }) {}

  std::uint16_t port() const { return upstream_.port(); }
  std::vector<json> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void tell(Peer& peer) {
    const std::string bytes = peer.read_request();
    const json body = json::parse(bytes.substr(bytes.find("\r\n\r\n") + 4), nullptr, false);
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      asked_.push_back(body);
      text = texts_[std::min(asked_.size(), texts_.size()) - 1];
    }
    if (text.empty()) return peer.send_plain("{}", "500 Internal Server Error");
    if (body["stream"] != true) return peer.send_plain(completion(text));
    peer.send_stream_head();
    if (!peer.send_chunk(event({{"role", "assistant"}, {"content", ""}}))) return;
    for (const std::string& piece : pieces(text)) {
      if (!peer.send_chunk(event({{"content", piece}}))) return;
    }
    peer.send_chunk(event(json::object(), "stop") + sse_event("[DONE]"));
    peer.end_stream();
  }
  static std::vector<std::string> pieces(const std::string& text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
      words.back() += c;
      if (c == ' ') words.emplace_back();
    }
    return words;
  }

  const std::vector<std::string> texts_;
  std::mutex mutex_;
  std::vector<json> asked_;
  ScriptedUpstream upstream_;
};

// What a client gets, streamed or plain.
struct Got {
  std::string content;
  std::string finish;
  json report;  // the object "qwen3guard"
};

Got ask(const RunningGateway& gateway, bool streams) {
  Client client(gateway.port());
  const Answer answer = client.post(kPath, request(streams));
  EXPECT_EQ(answer.status, 200) << answer.body;
  if (!streams) {
    const json choice = answer.json()["choices"][0];
    return {choice["message"]["content"], choice["finish_reason"],
            choice.value("qwen3guard", json())};
  }
  const Received received = receive(answer.body);
  EXPECT_TRUE(received.done) << received.error;
  std::size_t roles = 0;
  for (const json& chunk : received.chunks) {
    EXPECT_EQ(chunk["id"], "chatcmpl-1");
    roles += chunk["choices"][0]["delta"].contains("role");
  }
  EXPECT_EQ(roles, 1u);
  return {received.content.count(0) ? received.content.at(0) : "", received.finish.at(0),
          received.chunks.back()["choices"][0].value("qwen3guard", json())};
}

TEST(RollBack, AFlaggedAnswerIsWrittenAnewFromWhatWasSent) {
  for (const bool streams : {true, false}) {
    Telling upstream({kLate, kRest});
    RunningGateway gateway(upstream.port(), rolling_back(), policy());
    const Got got = ask(gateway, streams);
    ASSERT_TRUE(got.content.ends_with(kRest)) << got.content;
    const std::string sent = got.content.substr(0, got.content.size() - kRest.size());
    EXPECT_FALSE(sent.empty());
    EXPECT_TRUE(kLate.starts_with(sent)) << sent;
    EXPECT_LT(sent.size(), safe_bytes(kLate, policy()));
    EXPECT_EQ(got.finish, "stop");
    EXPECT_EQ(got.report["decision"], "allow");
    EXPECT_EQ(got.report["retries"], 1);
    EXPECT_EQ(got.report["wait_tokens"], 2 * kBuffer);
    EXPECT_EQ(got.report["additional_wait_tokens"], kBuffer);

    const std::vector<json> asked = upstream.asked();
    ASSERT_EQ(asked.size(), 2u);
    const json& messages = asked[1]["messages"];
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[0], asked[0]["messages"][0]);
    EXPECT_EQ(messages[1], json({{"role", "assistant"}, {"content", sent}}));
    const std::string question = messages[2]["content"];
    EXPECT_NE(question.find("oh I'm sorry, I just realized"), std::string::npos);
    EXPECT_NE(question.find("User Query: How do I whittle a spoon?"), std::string::npos);
    EXPECT_NE(question.find("Your Prior Response: " + kLate.substr(0, sent.size() + 1)),
              std::string::npos);
    EXPECT_EQ(asked[1]["stream"], streams);

    EXPECT_EQ(gateway.outcomes("recovered"), 1);
    EXPECT_EQ(gateway.metric("qwen3guard_gateway_rollbacks_total "), 1);
    EXPECT_EQ(gateway.metric("qwen3guard_gateway_wait_tokens_total "), 2 * kBuffer);
    EXPECT_EQ(gateway.metric("qwen3guard_gateway_additional_wait_tokens_total "), kBuffer);
  }
}

TEST(RollBack, StreamedAndPlainTakeBackTheSame) {
  std::string streamed;
  for (const bool streams : {true, false}) {
    Telling upstream({kLate, kRest});
    RunningGateway gateway(upstream.port(), rolling_back(), policy());
    const std::string content = ask(gateway, streams).content;
    if (streams) streamed = content;
    EXPECT_EQ(content, streamed);
  }
}

TEST(RollBack, AnAnswerWithoutAFlagIsAskedOnce) {
  for (const bool streams : {true, false}) {
    Telling upstream({kHarmless});
    RunningGateway gateway(upstream.port(), rolling_back(), policy());
    const Got got = ask(gateway, streams);
    EXPECT_EQ(got.content, kHarmless);
    EXPECT_EQ(got.report, json());
    EXPECT_EQ(upstream.asked().size(), 1u);
    EXPECT_EQ(gateway.outcomes("complete"), 1);
    EXPECT_EQ(gateway.metric("qwen3guard_gateway_wait_tokens_total "), kBuffer);
  }
}

TEST(RollBack, WhenTheRetriesAreUsedUpTheOperatorHasSaid) {
  for (const bool streams : {true, false}) {
    for (const bool replace : {false, true}) {
      Telling upstream({kLate, kHarmful});
      GatewayOptions options = rolling_back(2);
      options.guard.roll_back.then_replace = replace;
      options.guard.replacement = "No.";
      RunningGateway gateway(upstream.port(), options, policy());
      Got got = ask(gateway, streams);
      EXPECT_EQ(got.finish, "content_filter");
      if (replace) {
        ASSERT_TRUE(got.content.ends_with("No."));
        got.content.resize(got.content.size() - 3);
      }
      EXPECT_EQ(got.content, kLate.substr(0, got.content.size()));
      EXPECT_LT(got.content.size(), safe_bytes(kLate, policy()));
      EXPECT_EQ(got.report["decision"], "block");
      EXPECT_EQ(got.report["retries"], 2);
      EXPECT_EQ(got.report["wait_tokens"], 3 * kBuffer);
      EXPECT_EQ(upstream.asked().size(), 3u);
      EXPECT_EQ(gateway.outcomes("flagged"), 1);
      EXPECT_EQ(gateway.metric("qwen3guard_gateway_rollbacks_total "), 2);
    }
  }
}

TEST(RollBack, ARetryThatTheUpstreamRefusesEndsTheAnswer) {
  for (const bool streams : {true, false}) {
    Telling upstream({kLate, ""});
    RunningGateway gateway(upstream.port(), rolling_back(), policy());
    const Got got = ask(gateway, streams);
    EXPECT_EQ(got.finish, "content_filter");
    EXPECT_EQ(got.content, kLate.substr(0, got.content.size()));
    EXPECT_LT(got.content.size(), safe_bytes(kLate, policy()));
    EXPECT_EQ(got.report["decision"], "block");
    EXPECT_EQ(gateway.outcomes("flagged"), 1);
  }
}

TEST(RollBack, AnUpstreamThatTakesABeginningGetsIt) {
  const std::string realized = "... oh I'm sorry, I just realized";
  for (const bool streams : {true, false}) {
    Telling upstream({kLate, kRest});
    GatewayOptions options = rolling_back();
    options.guard.roll_back.prefill = Prefill::kVllm;
    RunningGateway gateway(upstream.port(), options, policy());
    const Got got = ask(gateway, streams);
    ASSERT_TRUE(got.content.ends_with(realized + kRest)) << got.content;
    const json again = upstream.asked().back();
    EXPECT_EQ(again["continue_final_message"], true);
    EXPECT_EQ(again["messages"].size(), 2u);
    EXPECT_EQ(again["messages"].back(),
              json({{"role", "assistant"},
                    {"content", got.content.substr(0, got.content.size() - kRest.size())}}));
  }
}

TEST(RollBack, WhatHasNoWayBackEnds) {
  const auto outcome = [](const json& asked, const json& delta) {
    ScriptedUpstream upstream([&](Peer& peer) {
      peer.read_request();
      peer.send_stream_head();
      peer.send_chunk(event(delta));
      peer.send_chunk(event({{"content", kLate}}));
      peer.closed_by_gateway();
    });
    RunningGateway gateway(upstream.port(), rolling_back(), policy());
    Client client(gateway.port());
    const Received received = receive(client.post(kPath, asked).body);
    EXPECT_EQ(received.finish.at(0), "content_filter");
    EXPECT_EQ(upstream.connections(), 1u);
  };
  json begun = request();
  begun["messages"].push_back({{"role", "assistant"}, {"content", "Well. "}});
  outcome(begun, json::object());
  const json call = {{"index", 0}, {"function", {{"name", "f"}, {"arguments", "{}"}}}};
  outcome(request(), {{"tool_calls", {call}}});
}

TEST(RollBack, ThinkingIsSentOnceAndNeverTakenBack) {
  CompletionStream guarded = [] {
    AnswerOptions options;
    options.on_flag = OnFlag::kRollBack;
    options.filter.buffer_tokens = kBuffer;
    return stream(options, policy());
  }();
  Received received = pass(
      guarded, event({{"reasoning_content", "A spoon is wood."}}) + event({{"content", kLate}}));
  EXPECT_EQ(received.thinking.at(0), "A spoon is wood.");
  const std::string sent = received.content.at(0);
  EXPECT_EQ(sent, guarded.sent_answer());
  ASSERT_TRUE(guarded.wants_retry());
  ASSERT_TRUE(guarded.roll_back("").ok());
  EXPECT_FALSE(guarded.wants_retry());
  received = pass(guarded, event({{"reasoning_content", kHarmful}}) + event({{"content", kRest}}) +
                               event(json::object(), "stop") + sse_event("[DONE]"));
  EXPECT_EQ(received.thinking.count(0), 0u);
  EXPECT_EQ(received.content.at(0), kRest);
  EXPECT_TRUE(guarded.ended());

  CompletionStream thinks = [] {
    AnswerOptions options;
    options.on_flag = OnFlag::kRollBack;
    options.filter.buffer_tokens = kBuffer;
    return stream(options, policy());
  }();
  received = pass(thinks, event({{"reasoning_content", kHarmful}}));
  EXPECT_FALSE(thinks.wants_retry());
  EXPECT_EQ(received.finish.at(0), "content_filter");
}

TEST(RollBack, TheRestIsAskedForInEveryDialect) {
  const std::string asked =
      R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":)"
      R"([{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})";
  const auto body = [&](std::string_view sent, Prefill prefill) {
    return json::parse(request_for_rest(asked, "said", sent, prefill));
  };
  // Nothing was sent: the question takes the user's place.
  json found = body("", Prefill::kNone);
  ASSERT_EQ(found["messages"].size(), 2u);
  EXPECT_EQ(found["messages"][1]["role"], "user");
  EXPECT_NE(found["messages"][1]["content"].get<std::string>().find(
                "User Query: a\nb Your Prior Response: said"),
            std::string::npos);
  found = body("sa", Prefill::kMessage);
  EXPECT_EQ(found["messages"].size(), 3u);
  EXPECT_EQ(found["messages"][2]["content"], "sa... oh I'm sorry, I just realized");
  EXPECT_FALSE(found.contains("continue_final_message"));
  found = body("sa", Prefill::kPrefix);
  EXPECT_EQ(found["messages"][2]["prefix"], true);
  found = body("sa", Prefill::kVllm);
  EXPECT_EQ(found["add_generation_prompt"], false);
  EXPECT_EQ(found["continue_final_message"], true);
}

// Whether something blocks in `text`, more of which might follow.
bool blocks(const std::string& text, const Policy& guarding) {
  auto session = boxed_guard().open(question(), guarding);
  EXPECT_TRUE(session.ok() && session->append(text).ok());
  return session->response().decision == Decision::kBlock;
}

// Random answers, each followed by random tries: what is sent depends on no cut, and nothing in it,
// judged in one go, blocks.
TEST(RollBack, NothingUnjudgedIsEverSent) {
  constexpr std::size_t kAnswers = 40, kCutsOfEach = 4, kTries = 3;
  Random random(20261122);
  std::size_t recovered = 0, flagged = 0, together = 0;
  for (std::size_t i = 0; i < kAnswers; ++i) {
    std::vector<std::string> tries;
    for (std::size_t t = 0; t <= kTries; ++t) tries.push_back(random_answer(random));
    AnswerOptions options;
    options.on_flag = OnFlag::kRollBack;
    options.roll_back.retries = below(random, kTries + 1);
    options.filter.buffer_tokens = options.roll_back.buffer = 1 + below(random, 12);
    const Policy guarding = threshold_policy(dividing_threshold() / 2);
    std::string first;
    for (std::size_t j = 0; j < kCutsOfEach; ++j) {
      CompletionStream guarded = stream(options, guarding);
      std::string output;
      for (std::size_t t = 0; t < tries.size() && !guarded.ended(); ++t) {
        std::string upstream = event({{"role", "assistant"}, {"content", ""}});
        for (const std::string& piece : cut(tries[t], static_cast<Cut>(j % 4), random)) {
          upstream += event({{"content", piece}});
        }
        upstream += event(json::object(), "stop") + sse_event("[DONE]");
        for (std::size_t at = 0; at < upstream.size() && !guarded.wants_retry();) {
          const std::size_t size = 1 + below(random, 400);
          ASSERT_TRUE(guarded.feed(std::string_view(upstream).substr(at, size)).ok());
          ASSERT_TRUE(guarded.judge().ok());
          output += guarded.take();
          at += size;
        }
        if (guarded.wants_retry()) {
          ASSERT_TRUE(guarded.roll_back("").ok());
          output += guarded.take();
        }
      }
      ASSERT_TRUE(guarded.ended());
      const Received received = receive(output);
      const std::string sent = received.content.count(0) ? received.content.at(0) : std::string();
      if (j == 0) first = sent;
      EXPECT_EQ(sent, first) << "cut " << j;
      EXPECT_FALSE(blocks(sent, guarding)) << sent;
      EXPECT_EQ(guarded.blocked(), received.finish.at(0) == "content_filter");
      recovered += !guarded.blocked() && guarded.retries() > 0;
      flagged += guarded.blocked();
      ++together;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(recovered, together / 10);
  EXPECT_GT(flagged, together / 20);
}

}  // namespace
}  // namespace qwen3guard::gateway::test
