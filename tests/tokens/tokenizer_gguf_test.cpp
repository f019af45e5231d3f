// Tokenizers in GGUF files: the same ids after a round trip, and files that are hostile or foreign.

#include "tokens/tokenizer_gguf.h"

#include <nlohmann/json.hpp>

#include "paths.h"
#include "support.h"

namespace qwen3guard::tokens {
namespace {

using bytes::GgufFile;
using bytes::GgufMetadata;
using bytes::GgufValue;
using nlohmann::json;
using Strings = std::vector<std::string>;
using Types = std::vector<std::int32_t>;

constexpr std::size_t kRows = 5120;  // of an embedding with padding

GgufMetadata metadata_of(const std::filesystem::path& directory, std::size_t rows) {
  auto metadata = gguf_tokenizer_metadata(tokenizer_json(directory), rows);
  if (!metadata.ok()) throw std::runtime_error(metadata.error().message);
  return std::move(metadata).value();
}

const GgufMetadata& golden_metadata() {
  static const GgufMetadata metadata = metadata_of(golden_tokenizer_directory(), kRows);
  return metadata;
}

/// The value of tokenizer.ggml.`name`.
template <typename T>
T& at(GgufMetadata& metadata, const std::string& name) {
  for (auto& [key, value] : metadata) {
    if (key == "tokenizer.ggml." + name) return std::get<T>(value);
  }
  throw std::runtime_error("no " + name);
}

Result<std::shared_ptr<const Tokenizer>> through_gguf(const GgufMetadata& metadata) {
  const Directory directory;
  const auto path = directory.path() / "tokenizer.gguf";
  const Status written = bytes::write_gguf(path, metadata, {});
  if (!written.ok()) throw std::runtime_error(written.error().message);
  const auto file = GgufFile::open(path);
  if (!file.ok()) throw std::runtime_error(file.error().message);
  return Tokenizer::from_gguf(*file);
}

/// The golden tokenizer with one value replaced.
GgufMetadata metadata_with(const std::string& name, GgufValue replacement) {
  GgufMetadata metadata = golden_metadata();
  for (auto& [key, value] : metadata) {
    if (key == "tokenizer.ggml." + name) value = std::move(replacement);
  }
  return metadata;
}
GgufMetadata without(const std::string& name) {
  GgufMetadata metadata = golden_metadata();
  std::erase_if(metadata,
                [&](const auto& entry) { return entry.first == "tokenizer.ggml." + name; });
  return metadata;
}
/// The golden tokenizer with one element replaced.
GgufMetadata with_string(const std::string& name, std::size_t index, std::string replacement) {
  GgufMetadata metadata = golden_metadata();
  at<Strings>(metadata, name).at(index) = std::move(replacement);
  return metadata;
}
GgufMetadata with_type(std::size_t index, std::int32_t type) {
  GgufMetadata metadata = golden_metadata();
  at<Types>(metadata, "token_type").at(index) = type;
  return metadata;
}

/// Refused with this code, and a message that names all of `parts`.
void expect_error(const GgufMetadata& metadata, ErrorCode code, const Strings& parts) {
  const auto result = through_gguf(metadata);
  ASSERT_FALSE(result.ok()) << parts[0];
  EXPECT_EQ(result.error().code, code) << result.error().message;
  for (const std::string& part : parts) {
    EXPECT_NE(result.error().message.find(part), std::string::npos)
        << "no " << part << " in: " << result.error().message;
  }
}

void expect_same_tokenizer(const Tokenizer& expected, const Tokenizer& actual) {
  EXPECT_EQ(actual.vocabulary_size(), expected.vocabulary_size());
  std::size_t texts = 0;
  for (const std::string& line : golden_sample()) {
    const std::string text = json::parse(line)["text"];
    for (const bool added : {false, true}) {
      const auto ids = expected.encode(text, added);
      const auto again = actual.encode(text, added);
      ASSERT_TRUE(ids.ok() && again.ok());
      ASSERT_EQ(again->ids, ids->ids) << text;
      ASSERT_EQ(again->offsets, ids->offsets) << text;
    }
    ++texts;
  }
  EXPECT_GE(texts, 3000u);
}

TEST(TokenizerGguf, RoundTripOfTheGoldenTokenizer) {
  const auto tokenizer = through_gguf(golden_metadata());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  expect_same_tokenizer(*golden_tokenizer(), **tokenizer);
}

TEST(TokenizerGguf, RoundTripOfTheBoxedModelsTokenizer) {
  const auto expected = Tokenizer::load(boxed());
  ASSERT_TRUE(expected.ok()) << expected.error().message;
  const auto tokenizer = through_gguf(metadata_of(boxed(), (*expected)->vocabulary_size()));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  expect_same_tokenizer(**expected, **tokenizer);
}

TEST(TokenizerGguf, WritesTheKeysThatOthersRead) {
  GgufMetadata metadata = golden_metadata();
  const auto id = [](const char* token) {
    return static_cast<std::size_t>(golden_tokenizer()->added_token(token).value());
  };
  const Strings& tokens = at<Strings>(metadata, "tokens");
  const Types& types = at<Types>(metadata, "token_type");
  EXPECT_EQ(at<std::string>(metadata, "model"), "gpt2");
  EXPECT_EQ(at<std::string>(metadata, "pre"), "qwen2");
  EXPECT_EQ(at<std::uint32_t>(metadata, "eos_token_id"), id("<|im_end|>"));
  EXPECT_EQ(at<std::uint32_t>(metadata, "padding_token_id"), id("<|endoftext|>"));
  EXPECT_FALSE(at<bool>(metadata, "add_bos_token"));
  ASSERT_EQ(tokens.size(), kRows);
  ASSERT_EQ(types.size(), kRows);
  EXPECT_EQ(tokens[id("<|im_end|>")], "<|im_end|>");
  EXPECT_EQ(types[id("<|im_end|>")], 3);
  EXPECT_EQ(types[id("<think>")], 4) << "not special in tokenizer.json";
  EXPECT_EQ(tokens[kRows - 1], "[PAD5119]");
  EXPECT_EQ(types[kRows - 1], 5);
  const json golden = json::parse(tokenizer_json(golden_tokenizer_directory()));
  for (const auto& [spelled, token] : golden["model"]["vocab"].items()) {
    ASSERT_EQ(tokens[token.get<std::size_t>()], spelled);
    ASSERT_EQ(types[token.get<std::size_t>()], 1);
  }
  const Strings& merges = at<Strings>(metadata, "merges");
  ASSERT_EQ(merges.size(), golden["model"]["merges"].size());
  EXPECT_EQ(merges[0], golden["model"]["merges"][0][0].get<std::string>() + " " +
                           golden["model"]["merges"][0][1].get<std::string>());
}

TEST(TokenizerGguf, PaddingIsNoToken) {
  const auto tokenizer = through_gguf(golden_metadata());
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_FALSE((*tokenizer)->added_token("[PAD5119]").has_value());
  EXPECT_FALSE((*tokenizer)->decode(std::vector<TokenId>{5119}).ok());
}

TEST(TokenizerGguf, SpecialSurvives) {
  const Directory directory;
  const auto path = directory.path() / "tokenizer.gguf";
  ASSERT_TRUE(bytes::write_gguf(path, golden_metadata(), {}).ok());
  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok());
  const auto spec = parse_gguf_tokenizer(*file);
  const auto expected = parse_tokenizer_json(tokenizer_json(golden_tokenizer_directory()));
  ASSERT_TRUE(spec.ok() && expected.ok());
  ASSERT_EQ(spec->added.size(), expected->added.size());
  for (std::size_t i = 0; i < spec->added.size(); ++i) {
    EXPECT_EQ(spec->added[i].content, expected->added[i].content);
    EXPECT_EQ(spec->added[i].special, expected->added[i].special) << spec->added[i].content;
  }
}

TEST(TokenizerGguf, ForeignTokenizersAreUnsupported) {
  const auto unsupported = ErrorCode::kUnsupported;
  expect_error(metadata_with("model", std::string("llama")), unsupported,
               {"tokenizer.ggml.model", "gpt2", "llama"});
  expect_error(metadata_with("model", std::uint32_t{2}), unsupported,
               {"tokenizer.ggml.model", "gpt2", "u32"});
  expect_error(without("model"), unsupported, {"tokenizer.ggml.model", "gpt2", "nothing"});
  expect_error(metadata_with("pre", std::string("llama-bpe")), unsupported,
               {"tokenizer.ggml.pre", "qwen2", "llama-bpe"});
  expect_error(without("pre"), unsupported, {"tokenizer.ggml.pre", "qwen2", "nothing"});
  expect_error(with_type(7, 2), unsupported, {"token_type", "element 7", "found 2"});
  expect_error(with_type(7, 6), unsupported, {"token_type", "element 7", "found 6"});
  expect_error(with_type(7, -1), unsupported, {"token_type", "element 7", "found -1"});
  expect_error(with_string("tokens", 9, "a b"), unsupported,
               {"tokenizer.ggml.tokens", "element 9", "byte-level", "'a b'"});
  expect_error(with_string("merges", 4, "a \u4f60"), unsupported,
               {"tokenizer.ggml.merges", "merge 4", "byte-level"});
}

TEST(TokenizerGguf, KeysThatAreMissingOrOfAnotherType) {
  for (const char* name : {"tokens", "token_type", "merges"}) {
    const std::string key = std::string("tokenizer.ggml.") + name;
    expect_error(without(name), ErrorCode::kNotFound, {key});
    expect_error(metadata_with(name, std::string("none")), ErrorCode::kUnsupported,
                 {key, "string"});
    expect_error(metadata_with(name, std::vector<float>{1.0f}), ErrorCode::kUnsupported,
                 {key, "f32"});
  }
}

TEST(TokenizerGguf, ContradictionsAreCorrupt) {
  const auto corrupt = ErrorCode::kCorruptFile;
  GgufMetadata metadata = golden_metadata();
  const Strings tokens = at<Strings>(metadata, "tokens");
  const Strings merges = at<Strings>(metadata, "merges");
  const auto end = static_cast<std::size_t>(golden_tokenizer()->added_token("<|im_end|>").value());

  at<Types>(metadata, "token_type").pop_back();
  expect_error(metadata, corrupt, {"token_type", "5120", "5119"});
  expect_error(with_string("tokens", 9, tokens[300]), corrupt,
               {"tokenizer.ggml", "9", "300", "same string"});
  expect_error(with_string("tokens", 9, ""), corrupt, {"tokenizer.ggml", "token 9", "0 bytes"});
  expect_error(with_string("tokens", end, "<think>"), corrupt,
               {"tokenizer.ggml", "<think>", "twice"});
  expect_error(with_string("tokens", end, ""), corrupt,
               {"tokenizer.ggml.tokens", "element " + std::to_string(end)});
  expect_error(with_string("merges", 8, "a"), corrupt, {"tokenizer.ggml.merges", "merge 8"});
  expect_error(with_string("merges", 8, "a b c"), corrupt, {"tokenizer.ggml.merges", "merge 8"});
  expect_error(with_string("merges", 8, "zzzz a"), corrupt,
               {"tokenizer.ggml", "merge 8", "a part"});
  expect_error(with_string("merges", 8, "! <"), corrupt,
               {"tokenizer.ggml", "merge 8", "the result"});
  expect_error(with_string("merges", 8, merges[7]), corrupt,
               {"tokenizer.ggml", "merge 8", "same pair"});
}

TEST(TokenizerGguf, Limits) {
  expect_error(metadata_with("tokens", Strings(kMaxTokenId + 2)), ErrorCode::kUnsupported,
               {"tokenizer.ggml.tokens", std::to_string(kMaxTokenId + 2)});
  expect_error(with_string("tokens", 9, std::string(kMaxTokenizerFileBytes, 'a')),
               ErrorCode::kTooLong, {"tokenizer.ggml.tokens", "67,108,864"});
  expect_error(with_string("merges", 9, std::string(kMaxTokenizerFileBytes, 'a')),
               ErrorCode::kTooLong, {"tokenizer.ggml.merges", "67,108,864"});
  GgufMetadata metadata = golden_metadata();
  for (std::size_t i = 0; i <= kMaxAddedTokens; ++i) {
    at<Strings>(metadata, "tokens").push_back("<|" + std::to_string(i) + "|>");
    at<Types>(metadata, "token_type").push_back(3);
  }
  expect_error(metadata, ErrorCode::kUnsupported, {"added_tokens", "4096"});
}

TEST(TokenizerGguf, TheWriterRefusesWhatItCannotSay) {
  const auto code_of = [](const json& tokenizer, std::size_t rows = kRows) {
    const auto result = gguf_tokenizer_metadata(tokenizer.dump(), rows);
    return result.ok() ? "ok" : std::string(error_code_name(result.error().code));
  };
  const json golden = json::parse(tokenizer_json(golden_tokenizer_directory()));
  const std::size_t exact = golden_tokenizer()->vocabulary_size();
  EXPECT_EQ(code_of(golden, exact), "ok");
  EXPECT_EQ(code_of(golden, exact - 1), "invalid_argument");
  EXPECT_EQ(code_of(golden, kMaxTokenId + 2), "invalid_argument");

  for (const char* name : {"<|im_end|>", "<|endoftext|>"}) {
    json changed = golden;
    for (json& token : changed["added_tokens"]) {
      if (token["content"] == name) token["content"] = "<|another|>";
    }
    EXPECT_EQ(code_of(changed), "unsupported") << name;
  }
  json both = golden;
  both["model"]["vocab"]["<think>"] = *golden_tokenizer()->added_token("<think>");
  EXPECT_TRUE(Tokenizer::parse(both.dump()).ok());
  EXPECT_EQ(code_of(both), "unsupported");
  json contradiction = golden;
  contradiction["model"]["vocab"]["a"] = golden["model"]["vocab"]["b"];
  EXPECT_EQ(code_of(contradiction), "corrupt_file");
  EXPECT_EQ(code_of(json::object()), "unsupported");
}

}  // namespace
}  // namespace qwen3guard::tokens
