#include "dataset/tokenizer_trim.h"

#include <nlohmann/json.hpp>
#include <set>

#include "support.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::dataset {
namespace {

using nlohmann::json;

/// A byte-level BPE tokenizer with the given merges and the template's added tokens, shaped like
/// Qwen's.
json make_tokenizer(const std::vector<std::pair<std::string, std::string>>& merges) {
  json vocab = json::object();
  int next = 0;
  std::uint32_t stand_in = 256;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const std::uint32_t code = printable ? byte : stand_in++;
    std::string symbol;
    if (code < 0x80) {
      symbol = std::string(1, static_cast<char>(code));
    } else {
      symbol = {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
    }
    vocab[symbol] = next++;
  }
  json list = json::array();
  for (const auto& [left, right] : merges) {
    list.push_back({left, right});
    if (!vocab.contains(left + right)) vocab[left + right] = next++;
  }
  json added = json::array();
  for (const char* name :
       {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "<think>", "</think>"}) {
    added.push_back({{"id", next++},
                     {"content", name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", false},
                           {"use_regex", false}};
  const std::string pattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Split"},
               {"pattern", {{"Regex", pattern}}},
               {"behavior", "Isolated"},
               {"invert", false}},
              byte_level}}}},
          {"post_processor", byte_level},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocab},
            {"merges", list}}}};
}

json sample() {
  return make_tokenizer({{"t", "h"},
                         {"th", "e"},
                         {"Ġ", "the"},
                         {"i", "n"},
                         {"in", "g"},
                         {"k", "ing"},
                         {"Ġ", "king"},
                         {"q", "u"},
                         {"qu", "een"},
                         {"e", "e"},
                         {"ee", "n"},
                         {"th", "ing"},
                         {"u", "s"},
                         {"us", "er"},
                         {"e", "r"},
                         {"Ċ", "Ċ"}});
}

std::map<int, double> count(const json& tokenizer, const std::string& text) {
  const auto parsed = tokens::Tokenizer::parse(tokenizer.dump());
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  std::map<int, double> frequency;
  const auto encoding = (*parsed)->encode(text, false);
  EXPECT_TRUE(encoding.ok());
  for (const auto id : encoding->ids) frequency[id] += 1;
  return frequency;
}

std::vector<std::string> pieces(const tokens::Tokenizer& tokenizer, const std::string& text) {
  const auto encoding = tokenizer.encode(text, false);
  EXPECT_TRUE(encoding.ok());
  std::vector<std::string> result;
  for (const auto id : encoding->ids) result.push_back(tokenizer.decode(std::vector{id}).value());
  return result;
}

TEST(TokenizerTrim, IsMergeClosedAndDense) {
  const json full = sample();
  TrimOptions options;
  for (const std::size_t size : {270UL, 272UL, 274UL, 277UL, 1000UL}) {
    options.vocabulary_size = size;
    const auto trimmed =
        trim_tokenizer(full, count(full, "the king sees the thing the queen"), options);
    ASSERT_TRUE(trimmed.ok()) << trimmed.error().message;
    const json& vocab = (*trimmed)["model"]["vocab"];
    std::set<int> ids;
    for (const auto& [name, id] : vocab.items()) ids.insert(id.get<int>());
    for (const auto& token : (*trimmed)["added_tokens"]) ids.insert(token["id"].get<int>());
    EXPECT_LE(ids.size(), size);
    EXPECT_EQ(*ids.begin(), 0);
    EXPECT_EQ(*ids.rbegin() + 1, static_cast<int>(ids.size()));
    EXPECT_EQ(ids.size(), vocab.size() + 5);
    std::set<std::string> made;
    for (const auto& merge : (*trimmed)["model"]["merges"]) {
      const auto left = merge[0].get<std::string>(), right = merge[1].get<std::string>();
      EXPECT_TRUE(vocab.contains(left) && vocab.contains(right) && vocab.contains(left + right));
      made.insert(left + right);
    }
    for (const auto& [name, id] : vocab.items()) {
      // A byte token is one code point; anything longer must be reachable by a merge.
      const bool single = name.size() == 1 || (name.size() == 2 && (name[0] & 0x80) != 0);
      EXPECT_TRUE(single || made.contains(name)) << name;
    }
    EXPECT_TRUE(tokens::Tokenizer::parse(trimmed->dump()).ok());
  }
}

TEST(TokenizerTrim, SplitsCoveredTextAsBefore) {
  const json full = sample();
  const std::string text = "the king sees the thing\n\nthe user";
  TrimOptions options;
  options.vocabulary_size = 1000;
  const auto trimmed = trim_tokenizer(full, count(full, text), options);
  ASSERT_TRUE(trimmed.ok());
  const auto before = tokens::Tokenizer::parse(full.dump()),
             after = tokens::Tokenizer::parse(trimmed->dump());
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(pieces(**after, text), pieces(**before, text));
  // "queen" was never seen: its pieces are smaller now, its bytes the same.
  const auto ids = (*after)->encode("queen", false);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ((*after)->decode(ids->ids).value(), "queen");
  EXPECT_LT((*after)->vocabulary_size(), (*before)->vocabulary_size());
}

TEST(TokenizerTrim, KeepsTheTemplateAndEveryByte) {
  const json full = sample();
  TrimOptions options;
  options.vocabulary_size = 300;
  const auto trimmed = trim_tokenizer(full, {}, options);
  ASSERT_TRUE(trimmed.ok());
  const auto tokenizer = tokens::Tokenizer::parse(trimmed->dump());
  ASSERT_TRUE(tokenizer.ok());
  for (const char* name : {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"}) {
    EXPECT_TRUE((*tokenizer)->added_token(name).has_value()) << name;
  }
  EXPECT_FALSE((*tokenizer)->added_token("<tool_call>").has_value());
  EXPECT_EQ(pieces(**tokenizer, "user"), std::vector<std::string>{"user"});
  for (const char* part : {"normalizer", "pre_tokenizer", "post_processor", "decoder"}) {
    EXPECT_EQ((*trimmed)[part], full[part]);
  }
}

TEST(TokenizerTrim, RefusesWhatItCannotTrim) {
  EXPECT_FALSE(trim_tokenizer(json::object(), {}, {}).ok());
  TrimOptions small;
  small.vocabulary_size = 100;
  const auto refused = trim_tokenizer(sample(), {}, small);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace qwen3guard::dataset
