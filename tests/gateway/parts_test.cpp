// What the gateway makes of URLs, paths and requests.
#include <gtest/gtest.h>

#include <array>

#include "gateway/chat_request.h"
#include "gateway/completion_body.h"
#include "gateway/upstream.h"
#include "guard_fixture.h"

namespace qwen3guard::gateway::test {
namespace {

TEST(Url, IsTakenApart) {
  const auto url = parse_url("https://[::1]:8443/api/v1//");
  ASSERT_TRUE(url.ok());
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, "8443");
  EXPECT_EQ(url->header, "[::1]:8443");
  EXPECT_EQ(url->prefix, "/api/v1");
  EXPECT_EQ(parse_url("http://llm")->port, "80");
  EXPECT_EQ(parse_url("https://llm/")->port, "443");
  for (const char* wrong :
       {"", "llm:8000", "ftp://llm", "http://", "http:///x", "http://llm:", "http://llm:0",
        "http://llm:65536", "http://llm:8o", "http://u@llm", "http://llm/?x", "http://llm/#x",
        "http://l m", "http://[::1", "http://llm/\r\nX: 1"}) {
    EXPECT_FALSE(parse_url(wrong).ok()) << wrong;
  }
}

TEST(Path, HasOneSpelling) {
  EXPECT_EQ(canonical_path("/v1//chat/%63ompletions/"), "/v1/chat/completions");
  EXPECT_EQ(canonical_path("/v1\\chat%5Ccompletions"), "/v1/chat/completions");
  EXPECT_EQ(canonical_path("/"), "");
  for (const char* wrong : {"/a/../b", "/./a", "/%2E%2e/a", "/a%00", "/a%", "/a%2", "/a%zz"}) {
    EXPECT_EQ(canonical_path(wrong), std::nullopt) << wrong;
  }
}

TEST(ChatRequest, SaysWhatIsJudged) {
  const auto request = parse_chat_request(
      R"({"n":2,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})",
      16);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->choices, 2u);
  EXPECT_EQ(request->prompt.size(), 1u);
  EXPECT_EQ(request->prefill->content, "b");
  const auto system = parse_chat_request(R"({"messages":[{"role":"system","content":"a"}]})", 16);
  ASSERT_TRUE(system.ok());
  EXPECT_EQ(system->prompt.back().role, Role::kUser);
  for (const char* wrong :
       {"", "{}", R"({"messages":[]})", R"({"messages":[{"role":"assistant","content":"a"}]})",
        R"({"n":0,"messages":[{"role":"user","content":"a"}]})",
        R"({"n":17,"messages":[{"role":"user","content":"a"}]})",
        R"({"n":1.5,"messages":[{"role":"user","content":"a"}]})"}) {
    EXPECT_FALSE(parse_chat_request(wrong, 16).ok()) << wrong;
  }
}

nlohmann::ordered_json verdict_json(const Verdict& verdict) {
  return {{"decision", decision_name(verdict.decision)}};
}

TEST(CompletionBody, EveryTextOfAMessageIsJudged) {
  const nlohmann::json harmless = {{"role", "assistant"}, {"content", kHarmless}};
  std::vector<nlohmann::json> messages(5, harmless);
  messages[0]["content"] = kHarmful;
  messages[1]["reasoning_content"] = kHarmful;
  messages[2]["tool_calls"] = {
      {{"type", "function"}, {"function", {{"name", "send"}, {"arguments", kHarmful}}}}};
  messages[3]["refusal"] = kHarmful;
  messages[4]["audio"] = {{"transcript", kHarmful}};
  for (std::size_t i = 0; i < messages.size() * 3; ++i) {
    AnswerOptions options;
    options.filter.mode =
        std::array{ResponseMode::kHold, ResponseMode::kChunked, ResponseMode::kCut}[i % 3];
    const nlohmann::json whole = {
        {"id", "a"},
        {"choices", {{{"index", 0}, {"message", messages[i / 3]}, {"finish_reason", "stop"}}}}};
    auto body = CompletionBody::parse(whole.dump(), 1);
    ASSERT_TRUE(body.ok());
    auto opened = filters(options, policy());
    const auto guarded = std::move(*body).guard(opened, Verdict(), options, verdict_json);
    ASSERT_TRUE(guarded.ok());
    EXPECT_TRUE(guarded->blocked) << whole;
    EXPECT_EQ(guarded->body.find("bodies"), std::string::npos) << guarded->body;
    EXPECT_NE(guarded->body.find("content_filter"), std::string::npos);
  }
}

TEST(CompletionBody, SafeAnswersStayAsTheyAre) {
  const nlohmann::json whole = {{"id", "a"},
                                {"unknown", {{"x", 1}}},
                                {"choices",
                                 {{{"index", 0},
                                   {"message", {{"role", "assistant"}, {"content", kHarmless}}},
                                   {"finish_reason", "stop"},
                                   {"logprobs", nullptr}}}}};
  auto body = CompletionBody::parse(whole.dump(), 1);
  ASSERT_TRUE(body.ok());
  auto opened = filters({}, Policy::strict());
  const auto guarded = std::move(*body).guard(opened, Verdict(), {}, verdict_json);
  ASSERT_TRUE(guarded.ok());
  EXPECT_EQ(nlohmann::json::parse(guarded->body), whole);
}

}  // namespace
}  // namespace qwen3guard::gateway::test
