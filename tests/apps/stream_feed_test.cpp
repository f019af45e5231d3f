#include "apps/stream_feed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "checkpoint_fixture.h"
#include "program.h"

namespace qwen3guard::apps {
namespace {

class Recorder final : public StreamView {
 public:
  Status prompt(std::string_view, const Verdict&) override { return {}; }
  Status token(const JudgedToken& token, std::string_view text, Risk) override {
    tokens.push_back(token.index);
    (token.thinking ? thinking : answer) += text;
    pieces.push_back(std::string(text));
    return {};
  }
  Status flag(const JudgedToken& token, const Verdict&, bool is_withheld) override {
    flags.push_back(token.index);
    flag_byte = token.byte_begin;
    withheld = is_withheld;
    return {};
  }
  Status end(const Verdict&, const Verdict&, bool) override { return {}; }
  Status failed(const Error&) override { return {}; }

  std::vector<std::size_t> tokens, flags;
  std::vector<std::string> pieces;
  std::string thinking, answer;
  std::size_t flag_byte = 0;
  bool withheld = false;
};

const Guard& guard() {
  static const Guard loaded = [] {
    auto result = Guard::load(test::shared_checkpoint(), {.threads = 1});
    EXPECT_TRUE(result.ok()) << result.error().message;
    return std::move(result).value();
  }();
  return loaded;
}

Policy policy(const std::string& json) {
  auto result = Policy::parse(json);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return std::move(result).value();
}

const std::string kText =
    "Hello wörld! 你好，世界。 😀👩‍👩‍👧 e\u0301a\u0301 Straße ꙮ \t  ok\n\nLast "
    "1234 "
    "words: "
    "naïve, Kürbis, 한국어.";

void feed(const Policy& rules, const std::string& text, const std::vector<std::size_t>& cuts,
          bool stop, Recorder& recorder) {
  auto session = guard().open({{Role::kUser, "Hi"}}, rules);
  ASSERT_TRUE(session.ok()) << session.error().message;
  StreamFeed feed(*session, recorder, stop);
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    const Status status = feed.append(std::string_view(text).substr(begin, cut - begin));
    ASSERT_TRUE(status.ok()) << status.error().message;
    // Nothing is shown that was not judged.
    EXPECT_LE(recorder.tokens.size(), session->tokens().size());
    begin = cut;
  }
  ASSERT_TRUE(feed.append(std::string_view(text).substr(begin)).ok());
  ASSERT_TRUE(feed.finish().ok());
  EXPECT_EQ(feed.stopped(), stop && !recorder.flags.empty());
  if (feed.stopped()) return;
  EXPECT_EQ(recorder.tokens.size(), session->tokens().size());
}

TEST(StreamFeed, ShowsEveryByteOnceInWholeCharacters) {
  std::mt19937 random(3);
  for (int round = 0; round < 30; ++round) {
    std::vector<std::size_t> cuts;
    for (int i = 0; i < round; ++i) cuts.push_back(random() % kText.size());
    std::sort(cuts.begin(), cuts.end());
    Recorder recorder;
    feed(Policy::strict(), kText, cuts, false, recorder);
    EXPECT_EQ(recorder.answer, kText);
    for (std::size_t i = 0; i < recorder.tokens.size(); ++i) EXPECT_EQ(recorder.tokens[i], i);
    for (const std::string& piece : recorder.pieces) {
      EXPECT_TRUE(piece.empty() || (static_cast<unsigned char>(piece[0]) & 0xC0) != 0x80) << piece;
    }
  }
}

TEST(StreamFeed, StopsBeforeTheFlaggedToken) {
  const Policy all = policy(R"({"version": 1, "threshold": 0.000001})");
  for (const std::size_t cut : {std::size_t{0}, std::size_t{3}, kText.size() / 2, kText.size()}) {
    Recorder recorder;
    feed(all, kText, {cut}, true, recorder);
    ASSERT_EQ(recorder.flags, std::vector<std::size_t>{1});
    EXPECT_TRUE(recorder.withheld);
    EXPECT_EQ(recorder.answer, kText.substr(0, recorder.flag_byte));
  }
}

TEST(StreamFeed, SplitCharactersAreNeverShownByHalvesWhenStopping) {
  // Rare characters take several tokens each: the flag falls inside the first one.
  const std::string text = "𓀀𓁀𓂀";
  const Policy all = policy(R"({"version": 1, "threshold": 0.000001})");
  Recorder recorder;
  feed(all, text, {}, true, recorder);
  ASSERT_EQ(recorder.flags.size(), 1u);
  EXPECT_EQ(recorder.answer, text.substr(0, recorder.flag_byte));
}

TEST(StreamFeed, AFlagThatOnlyReportsDoesNotStop) {
  const Policy report = policy(R"({"version": 1, "action": "flag", "threshold": 0.000001})");
  Recorder recorder;
  auto session = guard().open({{Role::kUser, "Hi"}}, report);
  ASSERT_TRUE(session.ok());
  StreamFeed feed(*session, recorder, true);
  ASSERT_TRUE(feed.append(kText).ok());
  ASSERT_TRUE(feed.finish().ok());
  EXPECT_FALSE(feed.stopped());
  EXPECT_EQ(recorder.flags, std::vector<std::size_t>{1});
  EXPECT_FALSE(recorder.withheld);
  EXPECT_EQ(recorder.answer, kText);
}

TEST(StreamFeed, ThinkingComesFirst) {
  Recorder recorder;
  auto session =
      guard().open({{Role::kUser, "Hi"}}, policy(R"({"version": 1, "action": "allow"})"));
  ASSERT_TRUE(session.ok());
  StreamFeed feed(*session, recorder, true);
  ASSERT_TRUE(feed.append_thinking("Let me think — 想一想").ok());
  ASSERT_TRUE(feed.append("Here it is.").ok());
  ASSERT_TRUE(feed.finish().ok());
  EXPECT_EQ(recorder.thinking, "Let me think — 想一想");
  EXPECT_EQ(recorder.answer, "Here it is.");
}

}  // namespace
}  // namespace qwen3guard::apps
