#include "tokens/bpe.h"

#include <algorithm>

#include "support.h"
#include "tokens/prefix_encoder.h"

namespace qwen3guard::tokens {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;
using Ids = std::vector<TokenId>;

Bpe make(const BpeSpec& spec) {
  auto bpe = Bpe::create(spec);
  EXPECT_TRUE(bpe.ok()) << bpe.error().message;
  return std::move(bpe).value();
}

/// The definition, word for word.
std::vector<std::string> merge_by_definition(const Merges& merges, const std::string& piece) {
  std::vector<std::string> parts;
  for (const char c : piece) parts.emplace_back(1, c);
  for (;;) {
    std::size_t best = merges.size(), at = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = std::find(merges.begin(), merges.end(), std::pair(parts[i], parts[i + 1]));
      const auto rank = static_cast<std::size_t>(found - merges.begin());
      if (rank < best) {
        best = rank;
        at = i;
      }
    }
    if (best == merges.size()) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

/// Merges over a small alphabet. `regular`: each string is made once, from parts made before.
Merges random_merges(Random& random, std::size_t count, bool regular) {
  std::vector<std::string> strings = {"a", "b", "c"};
  Merges merges;
  while (merges.size() < count) {
    const auto& left = strings[below(random, strings.size())];
    const auto& right = strings[below(random, strings.size())];
    const std::pair merge(left, right);
    const std::string whole = left + right;
    const bool known = std::find(strings.begin(), strings.end(), whole) != strings.end();
    if (std::find(merges.begin(), merges.end(), merge) != merges.end()) continue;
    if (known && regular) continue;
    if (whole.size() > 12) continue;
    merges.push_back(merge);
    if (!known) strings.push_back(whole);
  }
  if (!regular) std::shuffle(merges.begin(), merges.end(), random);
  return merges;
}

std::string random_piece(Random& random, std::size_t size) {
  std::string piece;
  for (std::size_t i = 0; i < size; ++i) piece += static_cast<char>('a' + below(random, 3));
  return piece;
}

Ids ids_of(const Bpe& bpe, const std::vector<std::string>& parts) {
  Ids ids;
  for (const std::string& part : parts) ids.push_back(bpe.find(part).value_or(-1));
  return ids;
}

TEST(Bpe, LowestRankFirstThenLeftmost) {
  const Bpe bpe = make(toy_spec({{"b", "c"}, {"a", "b"}, {"a", "a"}}));
  Ids ids;
  bpe.encode_piece("abc", ids);
  EXPECT_EQ(ids, ids_of(bpe, {"a", "bc"}));
  ids.clear();
  bpe.encode_piece("aaa", ids);
  EXPECT_EQ(ids, ids_of(bpe, {"aa", "a"}));
}

TEST(Bpe, TokenThatItsOwnBytesDoNotEncodeToNeverAppears) {
  // "abc" exists, but "bc" always merges first.
  const Bpe bpe = make(toy_spec({{"b", "c"}, {"a", "b"}, {"ab", "c"}}));
  EXPECT_FALSE(bpe.reachable(*bpe.find("abc")));
  Ids ids;
  bpe.encode_piece("abc", ids);
  EXPECT_EQ(ids, ids_of(bpe, {"a", "bc"}));
}

class BpeProperty : public testing::TestWithParam<bool> {};

TEST_P(BpeProperty, EveryAlgorithmGivesTheDefinition) {
  const bool regular = GetParam();
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    const Merges merges = random_merges(random, 1 + below(random, 25), regular);
    const Bpe bpe = make(toy_spec(merges));
    ASSERT_TRUE(bpe.regular() || !regular);
    for (int i = 0; i < 30; ++i) {
      const std::string piece = random_piece(random, 1 + below(random, 30));
      const Ids expected = ids_of(bpe, merge_by_definition(merges, piece));
      Ids fast, queue;
      bpe.encode_piece(piece, fast);
      bpe.merge_piece(piece, queue);
      ASSERT_EQ(fast, expected) << piece;
      ASSERT_EQ(queue, expected) << piece;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, BpeProperty, testing::Values(true, false),
                         [](const auto& vocabulary) {
                           return vocabulary.param ? "Regular" : "Irregular";
                         });

TEST(Bpe, IrregularListsAreRecognised) {
  EXPECT_FALSE(make(toy_spec({{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"a", "bc"}})).regular());
  EXPECT_FALSE(make(toy_spec({{"ab", "c"}, {"a", "b"}})).regular());
}

TEST(Bpe, LongRunOfOneLetter) {
  const Bpe bpe = make(toy_spec({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}}));
  const std::string piece(1'000'003, 'a');
  Ids fast, queue;
  bpe.encode_piece(piece, fast);
  bpe.merge_piece(piece, queue);
  EXPECT_EQ(fast, queue);
  EXPECT_EQ(fast.size(), 125'000u + 2);
}

TEST(PrefixEncoder, EveryPrefixAndSettledTokensAreRight) {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    const Merges merges = random_merges(random, 1 + below(random, 25), true);
    const Bpe bpe = make(toy_spec(merges));
    const std::string piece = random_piece(random, 1 + below(random, 60));
    PrefixEncoder encoder(bpe);
    Ids settled;
    while (encoder.size() < piece.size()) {
      const std::size_t before = encoder.size();
      encoder.append(std::string_view(piece).substr(before, 1 + below(random, 5)));
      // Anything from here on may be the end, or the text goes on.
      const std::size_t possible_end = before + below(random, encoder.size() - before + 1);
      encoder.settle(possible_end, settled);
      for (std::size_t end = possible_end; end <= encoder.size();
           end = end == possible_end && end < encoder.size() ? encoder.size() : end + 1) {
        if (end == 0) continue;
        Ids expected, found = settled;
        bpe.merge_piece(piece.substr(0, end), expected);
        encoder.encoding(end, found);
        ASSERT_EQ(found, expected) << piece << " to " << end;
      }
    }
  }
}

TEST(PrefixEncoder, SettlesARunOfOneLetter) {
  const Bpe bpe = make(toy_spec({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}}));
  PrefixEncoder encoder(bpe);
  Ids settled;
  std::size_t bytes = 0;
  for (int i = 0; i < 10'000; ++i) {
    encoder.append("a");
    const std::size_t before = settled.size();
    encoder.settle(encoder.size(), settled);
    for (std::size_t k = before; k < settled.size(); ++k) bytes += bpe.length(settled[k]);
    ASSERT_LE(encoder.size() - bytes, 16u);
  }
}

TEST(Bpe, RefusesContradictions) {
  const auto code = [](const BpeSpec& spec) {
    const auto bpe = Bpe::create(spec);
    return bpe.ok() ? "" : std::string(error_code_name(bpe.error().code));
  };
  BpeSpec spec = toy_spec({});
  spec.tokens.push_back({7, "xyz"});
  EXPECT_EQ(code(spec), "corrupt_file") << "an id twice";
  spec = toy_spec({});
  spec.tokens.push_back({300, "a"});
  EXPECT_EQ(code(spec), "corrupt_file") << "a string twice";
  spec = toy_spec({{"a", "b"}});
  spec.merges.push_back({"a", "b"});
  EXPECT_EQ(code(spec), "corrupt_file") << "a merge twice";
  spec = toy_spec({});
  spec.merges.push_back({"a", "b"});
  EXPECT_EQ(code(spec), "corrupt_file") << "a merge without its result";
  spec = toy_spec({});
  spec.merges.push_back({"", "b"});
  EXPECT_EQ(code(spec), "corrupt_file") << "an empty part";
  spec = toy_spec({});
  spec.tokens.pop_back();
  EXPECT_EQ(code(spec), "unsupported") << "a byte without a token";
  spec = toy_spec({});
  spec.tokens.push_back({-1, "xyz"});
  EXPECT_EQ(code(spec), "unsupported") << "a negative id";
  spec.tokens.back().id = 0x7FFFFFFF;
  EXPECT_EQ(code(spec), "unsupported") << "an absurd id";
}

}  // namespace
}  // namespace qwen3guard::tokens
