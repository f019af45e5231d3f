#include "verdict/debounce.h"

#include <gtest/gtest.h>

#include <optional>
#include <string_view>

namespace qwen3guard::verdict {
namespace {

// S, U, C: blocking labels; u, c: labels that only report.
TokenLabel label(char letter) {
  switch (letter) {
    case 'U':
      return {Risk::kUnsafe, Decision::kBlock};
    case 'C':
      return {Risk::kControversial, Decision::kBlock};
    case 'u':
      return {Risk::kUnsafe, Decision::kFlag};
    case 'c':
      return {Risk::kControversial, Decision::kFlag};
    default:
      return {};
  }
}

std::optional<std::size_t> flagged(std::string_view letters, DebounceRule rule) {
  Debouncer debouncer(rule);
  for (const char letter : letters) debouncer.push(label(letter));
  const auto flag = debouncer.flag();
  return flag ? std::optional(flag->token) : std::nullopt;
}

TEST(Debouncer, PaperFlagsTheSecondOfTwoTokensThatAreNotSafe) {
  const auto rule = DebounceRule::kPaper;
  EXPECT_EQ(flagged("", rule), std::nullopt);
  EXPECT_EQ(flagged("U", rule), std::nullopt);
  EXPECT_EQ(flagged("USUSU", rule), std::nullopt);
  EXPECT_EQ(flagged("SUUS", rule), 2u);
  EXPECT_EQ(flagged("SUCS", rule), 2u) << "mixed pairs fire";
  EXPECT_EQ(flagged("CCUU", rule), 1u);
}

TEST(Debouncer, OfficialEvalWantsEqualPairsUnsafeFirst) {
  const auto rule = DebounceRule::kOfficialEval;
  EXPECT_EQ(flagged("SUCUCS", rule), std::nullopt) << "mixed pairs never fire";
  EXPECT_EQ(flagged("CCSS", rule), 1u);
  EXPECT_EQ(flagged("CCSUU", rule), 4u) << "a later Unsafe pair replaces a Controversial one";
}

TEST(Debouncer, ABlockOutranksAReport) {
  EXPECT_EQ(flagged("uuSUU", DebounceRule::kPaper), 4u);
  EXPECT_EQ(flagged("uuSuu", DebounceRule::kPaper), 1u);
  Debouncer debouncer(DebounceRule::kPaper);
  debouncer.push(label('u'));
  debouncer.push(label('u'));
  EXPECT_EQ(debouncer.flag(), (Debouncer::Flag{1, Decision::kFlag}));
  debouncer.push(label('U'));
  EXPECT_EQ(debouncer.flag(), (Debouncer::Flag{2, Decision::kBlock}));
}

TEST(Debouncer, TruncateEqualsNeverHavingPushed) {
  const std::string_view letters = "SUCCSUUcuSU";
  for (const DebounceRule rule : {DebounceRule::kPaper, DebounceRule::kOfficialEval}) {
    for (std::size_t keep = 0; keep <= letters.size(); ++keep) {
      Debouncer cut(rule), fresh(rule);
      for (const char letter : letters) cut.push(label(letter));
      cut.truncate(keep);
      for (const char letter : letters.substr(0, keep)) fresh.push(label(letter));
      EXPECT_EQ(cut.flag(), fresh.flag()) << keep;
      EXPECT_EQ(cut.size(), fresh.size());
      cut.push(label('U'));
      fresh.push(label('U'));
      EXPECT_EQ(cut.flag(), fresh.flag()) << keep;
    }
  }
}

}  // namespace
}  // namespace qwen3guard::verdict
