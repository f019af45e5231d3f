// What of an answer's text may be shown, while its tokens come in pieces of characters and words.

#include "engine/answer_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "bytes/utf8.h"

namespace qwen3guard::engine {
namespace {

using Strings = std::vector<std::string>;

struct Written {
  std::string text;
  bool stopped = false;
};

Written write(const Strings& stop, const Strings& pieces) {
  AnswerText answer(stop);
  std::string text;
  for (const std::string& piece : pieces) {
    const std::string certain = answer.append(piece);
    EXPECT_FALSE(bytes::find_invalid_utf8(certain));
    text += certain;
    if (answer.stopped()) return {text, true};
  }
  return {text + answer.finish(), false};
}

TEST(AnswerText, WaitsForTheRestOfACharacter) {
  AnswerText answer({});
  EXPECT_EQ(answer.append("a\xE4"), "a");
  EXPECT_EQ(answer.append("\xBD"), "");
  EXPECT_EQ(answer.append("\xA0"), "你");
  EXPECT_EQ(answer.finish(), "");
}

// The figures are those of Python's bytes.decode("utf-8", errors="replace").
TEST(AnswerText, BytesThatAreNoCharacterAreReplaced) {
  EXPECT_EQ(write({}, {"a\xE4\xBD", "b"}).text, "a\uFFFDb");
  EXPECT_EQ(write({}, {"\xBD\xBD"}).text, "\uFFFD\uFFFD");
  EXPECT_EQ(write({}, {"\xE4\xE4\xBD\xA0"}).text, "\uFFFD你");
  EXPECT_EQ(write({}, {"\xF0\x9F\x98"}).text, "\uFFFD");
  EXPECT_EQ(write({}, {"\xED\xA0\x80"}).text, "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(write({}, {"\xFF"}).text, "\uFFFD");
}

TEST(AnswerText, HoldsTheBeginningOfAStopStringUntilItIsDecided) {
  AnswerText answer({"END"});
  EXPECT_EQ(answer.append("The E"), "The ");
  EXPECT_EQ(answer.append("N"), "");
  EXPECT_EQ(answer.append("E"), "EN");
  EXPECT_EQ(answer.append("ND of"), "");
  EXPECT_TRUE(answer.stopped());
}

TEST(AnswerText, GivesOutWhatWasHeldWhenNothingFollows) {
  const Written written = write({"END"}, {"The EN"});
  EXPECT_EQ(written.text, "The EN");
  EXPECT_FALSE(written.stopped);
}

TEST(AnswerText, StopStringsMayBeginInsideThemselves) {
  EXPECT_EQ(write({"aab"}, {"a", "a", "a", "b"}).text, "a");
  EXPECT_EQ(write({"\n\n"}, {"one\n", "two\n", "\nthree"}).text, "one\ntwo");
}

TEST(AnswerText, TheStopStringThatIsCompleteFirstEndsTheText) {
  EXPECT_EQ(write({"abcd", "bc"}, {"xabcd"}).text, "xa");
  EXPECT_EQ(write({"abcd", "bc"}, {"xab", "cd"}).text, "xa");
  EXPECT_EQ(write({"bc", "abc"}, {"xabc"}).text, "x");  // both: the longer one
}

TEST(AnswerText, StopsInChineseWhereverTokensEnd) {
  const std::string text = "他说：我不知道。然后走了。";
  for (const std::string stop : {"不知道", "。", "然后走了。", "：我"}) {
    for (std::size_t size = 1; size <= 7; ++size) {
      Strings pieces;
      for (std::size_t i = 0; i < text.size(); i += size) pieces.push_back(text.substr(i, size));
      const Written written = write({stop}, pieces);
      EXPECT_TRUE(written.stopped);
      EXPECT_EQ(written.text, text.substr(0, text.find(stop))) << stop << " by " << size;
    }
  }
}

TEST(AnswerText, AnyCuttingGivesTheSameText) {
  Random random(3);
  const Strings alphabet = {"a", "b", "\xE4", "\xBD", "\xA0", "你", "\xF0\x9F"};
  const Strings stop = {"ab", "b你a", "你你"};
  for (int round = 0; round < 500; ++round) {
    std::string bytes;
    for (int i = 0; i < 30; ++i) bytes += alphabet[random.below(alphabet.size())];
    const Written whole = write(stop, {bytes});
    Strings pieces;
    for (std::size_t at = 0; at < bytes.size();) {
      pieces.push_back(bytes.substr(at, 1 + random.below(5)));
      at += pieces.back().size();
    }
    const Written cut = write(stop, pieces);
    EXPECT_EQ(cut.text, whole.text);
    EXPECT_EQ(cut.stopped, whole.stopped);
  }
}

TEST(AnswerText, InsertedTextIsNotSearchedAndDecidesWhatWasHeld) {
  AnswerText answer({"END"});
  EXPECT_EQ(answer.append("E"), "");
  EXPECT_EQ(answer.insert("ND, END. E"), "END, END. E");
  EXPECT_EQ(answer.append("ND"), "ND");
  EXPECT_FALSE(answer.stopped());
}

}  // namespace
}  // namespace qwen3guard::engine
