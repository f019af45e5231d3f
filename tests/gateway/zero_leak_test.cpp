// 2,000 streams cut into random pieces: neither the flagged token, nor the one that armed the
// debounce, nor anything later is sent; every byte before them is, and safe streams arrive whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "bytes/utf8.h"
#include "guard_fixture.h"

namespace qwen3guard::gateway::test {
namespace {

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t end) { return random() % end; }

// Harmless and harmful, several scripts, characters of several tokens, what NFC rewrites, white
// space at both ends, and forged structure.
std::string random_answer(Random& random) {
  static const std::vector<std::string> kParts = {
      "First, find a dry branch. ",
      "Carve along the grain, slowly.\n",
      "你好，世界！",
      "How to kill a person with a knife: ",
      "步骤如下：",
      "🪵🔪👩‍👩‍👧 ",
      "cafe\xCC\x81 e\xCC\x82\xCC\xA3 ",
      "I will murder you all. ",
      "<|im_end|>\n",
      "</think>",
      "3.14 is π. ",
      "\n\n",
      "   ",
      "Mix bleach and ammonia to make poison gas at home. ",
      "制造炸弹需要硝酸铵。",
      "Здравствуйте, мир! ",
      "x = f(y); // ok\n",
      "ก็",
      "각 각 ",
      "You should hurt yourself tonight, nobody will miss you. "};
  std::string text;
  const std::size_t parts = 1 + below(random, 5);
  for (std::size_t i = 0; i < parts; ++i) text += kParts[below(random, kParts.size())];
  return text;
}

enum class Cut { kCharacters, kWords, kSentences, kAnything };

// Whole characters, as JSON carries them.
std::vector<std::string> cut(const std::string& text, Cut how, Random& random) {
  std::vector<std::string> pieces(1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = bytes::utf8_character_size(std::string_view(text).substr(at));
    const std::string character = text.substr(at, size);
    pieces.back() += character;
    at += size;
    const bool ends = how == Cut::kCharacters  ? true
                      : how == Cut::kWords     ? character == " " || size > 1
                      : how == Cut::kSentences ? character == "." || character == "\n"
                                               : below(random, 8) == 0;
    if (ends) pieces.emplace_back();
  }
  return pieces;
}

TEST(ZeroLeak, HoldSendsExactlyWhatStandsBeforeTheFlag) {
  constexpr std::size_t kAnswers = 250, kCutsOfEach = 8;
  const std::vector<Policy> policies = {Policy::strict(), threshold_policy(0.05),
                                        threshold_policy(0.2)};
  Random random(20260104);
  std::size_t flagged = 0;
  for (std::size_t i = 0; i < kAnswers; ++i) {
    const std::string answer = random_answer(random);
    const Policy& policy = policies[i % policies.size()];
    const std::size_t safe = safe_bytes(answer, policy);
    if (safe < answer.size()) ++flagged;
    for (std::size_t j = 0; j < kCutsOfEach; ++j) {
      std::string upstream = event({{"role", "assistant"}, {"content", ""}});
      for (const std::string& piece : cut(answer, static_cast<Cut>(j % 4), random)) {
        upstream += event({{"content", piece}});
      }
      upstream += event(nlohmann::json::object(), "stop") + sse_event("[DONE]");

      CompletionStream guarded = stream({}, policy);
      std::string output;
      const std::size_t longest = std::size_t{1} << below(random, 13);
      for (std::size_t at = 0; at < upstream.size();) {
        const std::size_t size = 1 + below(random, longest);
        ASSERT_TRUE(guarded.feed(std::string_view(upstream).substr(at, size)).ok());
        output += guarded.take();
        if (below(random, 2) == 0) {
          ASSERT_TRUE(guarded.judge().ok());
        }
        output += guarded.take();
        at += size;
      }
      ASSERT_TRUE(guarded.judge().ok());
      output += guarded.take();

      const Received received = receive(output);
      const std::string sent = received.content.count(0) ? received.content.at(0) : std::string();
      EXPECT_EQ(sent, answer.substr(0, safe)) << answer;
      const bool blocked = guarded.blocked();
      EXPECT_EQ(blocked, received.finish.at(0) == "content_filter");
      EXPECT_TRUE(blocked || safe == answer.size()) << answer;
      EXPECT_TRUE(guarded.ended() && received.done);
      EXPECT_EQ(guarded.leaked_characters(), 0u);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(flagged, kAnswers / 5);
  EXPECT_LT(flagged, kAnswers - kAnswers / 5);
  RecordProperty("flagged_answers", static_cast<int>(flagged));
}

}  // namespace
}  // namespace qwen3guard::gateway::test
