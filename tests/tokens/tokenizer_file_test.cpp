// Tokenizer files that are hostile, foreign or spelled in another of the accepted ways.

#include "tokens/tokenizer_file.h"

#include <nlohmann/json.hpp>

#include "support.h"
#include "tokens/pretokenize.h"

namespace qwen3guard::tokens {
namespace {

using nlohmann::json;

const json& golden_json() {
  static const json value = json::parse(tokenizer_json(golden_tokenizer_directory()));
  return value;
}

std::string code_of(const json& tokenizer) {
  const auto result = Tokenizer::parse(tokenizer.dump());
  return result.ok() ? "ok" : std::string(error_code_name(result.error().code));
}

/// The golden tokenizer with one value replaced.
json with(const std::string& pointer, const json& value) {
  json changed = golden_json();
  changed[json::json_pointer(pointer)] = value;
  return changed;
}

TEST(TokenizerFile, ForeignTokenizersAreUnsupported) {
  EXPECT_EQ(code_of(golden_json()), "ok");
  EXPECT_EQ(code_of(with("/normalizer", nullptr)), "unsupported");
  EXPECT_EQ(code_of(with("/normalizer/type", "NFKC")), "unsupported");
  EXPECT_EQ(code_of(with("/pre_tokenizer", {{"type", "Whitespace"}})), "unsupported");
  EXPECT_EQ(code_of(with("/pre_tokenizer/pretokenizers/0/pattern/Regex", R"(\p{L}+)")),
            "unsupported");
  EXPECT_EQ(code_of(with("/pre_tokenizer/pretokenizers/0/behavior", "Removed")), "unsupported");
  EXPECT_EQ(code_of(with("/pre_tokenizer/pretokenizers/1/add_prefix_space", true)), "unsupported");
  EXPECT_EQ(code_of(with("/pre_tokenizer/pretokenizers/1/use_regex", true)), "unsupported");
  EXPECT_EQ(code_of(with("/model/type", "Unigram")), "unsupported");
  EXPECT_EQ(code_of(with("/model/ignore_merges", true)), "unsupported");
  EXPECT_EQ(code_of(with("/model/byte_fallback", true)), "unsupported");
  EXPECT_EQ(code_of(with("/model/unk_token", "<unk>")), "unsupported");
  EXPECT_EQ(code_of(with("/model/end_of_word_suffix", "</w>")), "unsupported");
  EXPECT_EQ(code_of(with("/post_processor", {{"type", "TemplateProcessing"}})), "unsupported");
  EXPECT_EQ(code_of(with("/added_tokens/0/lstrip", true)), "unsupported");
  EXPECT_EQ(code_of(with("/added_tokens/0/normalized", true)), "unsupported");
}

TEST(TokenizerFile, MessagesSayWhatWasExpectedAndFound) {
  const auto result = Tokenizer::parse(with("/normalizer/type", "NFKC").dump());
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("NFC"), std::string::npos);
  EXPECT_NE(result.error().message.find("NFKC"), std::string::npos) << result.error().message;
}

TEST(TokenizerFile, ContradictionsAreCorrupt) {
  EXPECT_EQ(code_of(with("/model/vocab", json::array())), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/merges", "none")), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/merges/0", json::array({"a"}))), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/merges/0", "a b c")), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/merges/0", json::array({"zzzz", "qqqq"}))), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/vocab/a", -5)), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/vocab/a", 1e30)), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/vocab/a", "1")), "corrupt_file");
  EXPECT_EQ(code_of(with("/model/vocab/a", golden_json()["model"]["vocab"]["b"])), "corrupt_file");
  EXPECT_EQ(code_of(with("/added_tokens/0/id", 3)), "corrupt_file") << "id of another token";
  EXPECT_EQ(code_of(with("/added_tokens/0/id", golden_json()["added_tokens"][1]["id"])),
            "corrupt_file");
  EXPECT_EQ(code_of(with("/added_tokens/0/content", "")), "corrupt_file");
  EXPECT_EQ(code_of(with("/added_tokens", 5)), "corrupt_file");
  json missing = golden_json();
  missing["model"].erase("vocab");
  EXPECT_EQ(code_of(missing), "corrupt_file");
}

TEST(TokenizerFile, BrokenJsonNeverCrashes) {
  const std::string whole = golden_json().dump();
  Random random(53);
  for (int i = 0; i < 40; ++i) {
    const auto cut =
        Tokenizer::parse(std::string_view(whole).substr(0, below(random, whole.size())));
    EXPECT_FALSE(cut.ok());
    std::string changed = whole;
    changed[below(random, changed.size())] = static_cast<char>(below(random, 256));
    (void)Tokenizer::parse(changed);
  }
  for (const char* text :
       {"", "null", "[]", "{}", "{\"model\":[]}", "\xff", "{\"added_tokens\":{}}"}) {
    EXPECT_FALSE(Tokenizer::parse(text).ok()) << text;
  }
  EXPECT_FALSE(Tokenizer::parse(std::string(100'000, '[')).ok());
}

TEST(TokenizerFile, MergesAsStringsAreTheSame) {
  json lines = golden_json();
  for (json& merge : lines["model"]["merges"]) {
    if (merge.is_array()) merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  const auto tokenizer = Tokenizer::parse(lines.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const std::string text = "The quick brown fox, \u4f60\u597d\u4e16\u754c";
  EXPECT_EQ(encode_plain(**tokenizer, text).ids, encode_plain(*golden_tokenizer(), text).ids);
}

TEST(TokenizerFile, VocabularyAndMergesFiles) {
  const Directory directory;
  const json& golden = golden_json();
  std::string merges = "#version: 0.2\n";
  for (const json& merge : golden["model"]["merges"]) {
    merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
  }
  json config = {{"tokenizer_class", "Qwen2Tokenizer"}};
  for (const json& token : golden["added_tokens"]) {
    config["added_tokens_decoder"][std::to_string(token["id"].get<int>())] = token;
  }
  directory.write("vocab.json", golden["model"]["vocab"].dump());
  directory.write("merges.txt", merges);
  EXPECT_EQ(Tokenizer::load(directory.path()).error().code, ErrorCode::kNotFound);
  directory.write("tokenizer_config.json", config.dump());
  const auto tokenizer = Tokenizer::load(directory.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const std::string text = "<|im_start|>user\nHello, world!<|im_end|>";
  EXPECT_EQ((*tokenizer)->encode(text, true)->ids, golden_tokenizer()->encode(text, true)->ids);

  config["tokenizer_class"] = "LlamaTokenizer";
  directory.write("tokenizer_config.json", config.dump());
  EXPECT_EQ(Tokenizer::load(directory.path()).error().code, ErrorCode::kUnsupported);
}

TEST(TokenizerFile, MissingFilesAreNamed) {
  const Directory directory;
  const auto result = Tokenizer::load(directory.path());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_NE(result.error().message.find("tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace qwen3guard::tokens
