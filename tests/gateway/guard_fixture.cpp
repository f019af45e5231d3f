#include "guard_fixture.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bytes/utf8.h"
#include "paths.h"

namespace qwen3guard::gateway::test {

using nlohmann::json;

const Guard& boxed_guard() {
  static const Guard guard = [] {
    auto loaded = Guard::load(boxed(), {.threads = 1});
    if (!loaded.ok()) {
      ADD_FAILURE() << loaded.error().message;
      std::abort();
    }
    return std::move(loaded).value();
  }();
  return guard;
}

Policy threshold_policy(double threshold) {
  const json file = {{"version", 1}, {"threshold", threshold}, {"prompt", {{"action", "allow"}}}};
  auto policy = Policy::parse(file.dump());
  EXPECT_TRUE(policy.ok()) << policy.error().message;
  return *policy;
}

double dividing_threshold() {
  // What a debounced verdict would read: the best of two tokens in a row.
  const auto peak = [](const std::string& answer) {
    auto session = boxed_guard().open(question(), threshold_policy(1.0));
    EXPECT_TRUE(session.ok() && session->append(answer).ok() && session->finish().ok());
    float best = 0, before = 0;
    for (const auto& token : session->tokens()) {
      const float now = token.verdict.probabilities.not_safe();
      best = std::max(best, std::min(before, now));
      before = now;
    }
    return static_cast<double>(best);
  };
  static const double threshold = [&] {
    const double low = peak(kHarmless + " " + kHarmless), high = peak(kHarmful);
    EXPECT_LT(low + 0.1, high) << "the model in the box does not tell these texts apart";
    return (low + high) / 2;
  }();
  return threshold;
}

const Policy& policy() {
  static const Policy each = threshold_policy(dividing_threshold());
  return each;
}

Conversation question() { return {{Role::kUser, "How do I whittle a spoon?"}}; }

std::vector<ResponseFilter> filters(const AnswerOptions& options, const Policy& policy,
                                    std::size_t choices) {
  std::vector<ResponseFilter> opened;
  for (std::size_t i = 0; i < choices; ++i) {
    auto session = boxed_guard().open(question(), policy);
    EXPECT_TRUE(session.ok());
    opened.emplace_back(std::move(session).value(), policy, options.filter);
  }
  return opened;
}

CompletionStream stream(const AnswerOptions& options, const Policy& policy, std::size_t choices) {
  return CompletionStream(filters(options, policy, choices), options, [](const Verdict& verdict) {
    return nlohmann::ordered_json{{"decision", decision_name(verdict.decision)}};
  });
}

std::string event(const json& delta, const json& finish_reason, std::size_t index) {
  const json chunk = {
      {"id", "chatcmpl-1"},
      {"object", "chat.completion.chunk"},
      {"created", 1},
      {"model", "m"},
      {"choices", {{{"index", index}, {"delta", delta}, {"finish_reason", finish_reason}}}}};
  return sse_event(chunk.dump());
}

Received receive(std::string_view bytes) {
  Received received;
  SseReader reader(1u << 26);
  std::vector<std::string> events;
  EXPECT_TRUE(reader.feed(bytes, events).ok());
  for (const std::string& data : events) {
    EXPECT_FALSE(received.done) << "after [DONE]: " << data;
    if (data == "[DONE]") {
      received.done = true;
      continue;
    }
    const json chunk = json::parse(data, nullptr, false);
    EXPECT_TRUE(chunk.is_object()) << data;
    received.chunks.push_back(chunk);
    if (chunk.contains("error")) {
      received.error = chunk["error"]["code"];
      continue;
    }
    for (const json& choice : chunk["choices"]) {
      const std::size_t index = choice["index"];
      EXPECT_EQ(received.finish.count(index), 0u) << "after the finish_reason: " << data;
      const json delta = choice.value("delta", json::object());
      const auto add = [&](const char* key, std::map<std::size_t, std::string>& texts) {
        if (delta.contains(key) && delta[key].is_string()) {
          texts[index] += delta[key].get<std::string>();
        }
      };
      add("content", received.content);
      add("reasoning_content", received.thinking);
      if (choice.contains("finish_reason") && choice["finish_reason"].is_string()) {
        received.finish[index] = choice["finish_reason"];
      }
    }
  }
  return received;
}

Received pass(CompletionStream& stream, std::string_view bytes) {
  EXPECT_TRUE(stream.feed(bytes).ok());
  EXPECT_TRUE(stream.judge().ok());
  return receive(stream.take());
}

std::size_t safe_bytes(const std::string& answer, const Policy& policy) {
  Conversation conversation = question();
  conversation.push_back({Role::kAssistant, answer});
  const auto verdict = boxed_guard().moderate(conversation, policy);
  EXPECT_TRUE(verdict.ok());
  if (verdict->decision != Decision::kBlock) return answer.size();
  auto session = boxed_guard().open(question(), policy);
  EXPECT_TRUE(session.ok() && session->append(answer).ok() && session->finish().ok());
  EXPECT_EQ(session->response().flagged, verdict->flagged);
  std::size_t end = session->tokens()[verdict->flagged->token - 1].byte_begin;
  while (end < answer.size() && end > 0 && bytes::is_continuation(answer[end])) --end;
  return end;
}

}  // namespace qwen3guard::gateway::test
