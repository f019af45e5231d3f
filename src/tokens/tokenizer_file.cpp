#include "tokens/tokenizer_file.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"
#include "tokens/byte_level.h"
#include "tokens/pretokenize.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {
namespace {

using simdjson::dom::element;
using Lookup = simdjson::simdjson_result<element>;

/// An element as the result of a look-up that found it.
Lookup found(element value) { return Lookup(std::move(value)); }

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }

/// A short rendering of a value for error messages.
std::string describe(const Lookup& value) {
  element present;
  if (value.get(present) != simdjson::SUCCESS) return "nothing";
  return bytes::quote(simdjson::minify(present));
}

bool absent(const Lookup& value) {
  element present;
  return value.get(present) != simdjson::SUCCESS || present.is_null();
}

bool is_text(const Lookup& value, std::string_view text) {
  std::string_view actual;
  return value.get(actual) == simdjson::SUCCESS && actual == text;
}

bool is_flag(const Lookup& value, bool flag, bool if_absent) {
  if (absent(value)) return flag == if_absent;
  bool actual = false;
  return value.get(actual) == simdjson::SUCCESS && actual == flag;
}

Status check_normalizer(element root) {
  if (is_text(root["normalizer"]["type"], "NFC")) return {};
  return foreign_tokenizer("normalizer", R"({"type":"NFC"})", describe(root["normalizer"]));
}

Status check_pre_tokenizer(element root) {
  const auto whole = root["pre_tokenizer"];
  simdjson::dom::array steps;
  if (!is_text(whole["type"], "Sequence") ||
      whole["pretokenizers"].get(steps) != simdjson::SUCCESS || steps.size() != 2) {
    return foreign_tokenizer("pre_tokenizer", "a Sequence of Split and ByteLevel", describe(whole));
  }
  const element split = steps.at(0).value_unsafe();
  const element byte_level = steps.at(1).value_unsafe();
  if (!is_text(split["type"], "Split") || !is_text(split["behavior"], "Isolated") ||
      !is_flag(split["invert"], false, false)) {
    return foreign_tokenizer("pre_tokenizer", "an isolating Split", describe(found(split)));
  }
  if (!is_text(split["pattern"]["Regex"], kPretokenizerRegex)) {
    return foreign_tokenizer("pre_tokenizer", "the expression " + std::string(kPretokenizerRegex),
                             describe(split["pattern"]));
  }
  if (!is_text(byte_level["type"], "ByteLevel") ||
      !is_flag(byte_level["add_prefix_space"], false, true) ||
      !is_flag(byte_level["use_regex"], false, true)) {
    return foreign_tokenizer("pre_tokenizer", "ByteLevel without prefix space and expression",
                             describe(found(byte_level)));
  }
  return {};
}

Status check_model(const Lookup& model) {
  if (!is_text(model["type"], "BPE")) {
    return foreign_tokenizer("model.type", "\"BPE\"", describe(model["type"]));
  }
  for (const char* key : {"dropout", "unk_token"}) {
    if (!absent(model[key]))
      return foreign_tokenizer(std::string("model.") + key, "null", describe(model[key]));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!absent(model[key]) && !is_text(model[key], "")) {
      return foreign_tokenizer(std::string("model.") + key, "nothing", describe(model[key]));
    }
  }
  for (const char* key : {"byte_fallback", "ignore_merges"}) {
    if (!is_flag(model[key], false, false)) {
      return foreign_tokenizer(std::string("model.") + key, "false", describe(model[key]));
    }
  }
  return {};
}

Status check_ends(element root) {
  for (const char* key : {"post_processor", "decoder"}) {
    if (!absent(root[key]) && !is_text(root[key]["type"], "ByteLevel")) {
      return foreign_tokenizer(key, "ByteLevel", describe(root[key]));
    }
  }
  return {};
}

Result<TokenId> token_id(const Lookup& value, std::string_view where) {
  std::int64_t id = -1;
  if (value.get(id) != simdjson::SUCCESS || id < 0 || id > static_cast<std::int64_t>(kMaxTokenId)) {
    return corrupt(std::string(where) + ": expected an id from 0 to " +
                   std::to_string(kMaxTokenId) + ", found " + describe(value));
  }
  return static_cast<TokenId>(id);
}

Result<AddedToken> added_token(element entry, TokenId id) {
  std::string_view content;
  if (entry["content"].get(content) != simdjson::SUCCESS || content.empty()) {
    return corrupt("added token " + std::to_string(id) + ": no content");
  }
  for (const char* key : {"single_word", "lstrip", "rstrip", "normalized"}) {
    if (!is_flag(entry[key], false, false)) {
      return foreign_tokenizer("added token " + std::to_string(id) + ": " + key, "false",
                               describe(entry[key]));
    }
  }
  return AddedToken{id, std::string(content), is_flag(entry["special"], true, false)};
}

Status read_vocabulary(const Lookup& value, const ByteAlphabet& alphabet, BpeSpec& spec) {
  simdjson::dom::object vocabulary;
  if (value.get(vocabulary) != simdjson::SUCCESS) {
    return corrupt("vocabulary: expected an object of strings to ids, found " + describe(value));
  }
  for (const auto& [spelled, id_value] : vocabulary) {
    auto bytes = alphabet.bytes(spelled);
    if (!bytes) {
      return foreign_tokenizer("vocabulary", "byte-level spelling",
                               "the token " + bytes::quote(spelled));
    }
    QG_TRY(const TokenId id, token_id(found(id_value), "vocabulary"));
    spec.tokens.push_back({id, *std::move(bytes)});
  }
  return {};
}

Status read_merges(const Lookup& value, const ByteAlphabet& alphabet, BpeSpec& spec) {
  simdjson::dom::array merges;
  if (value.get(merges) != simdjson::SUCCESS) {
    return corrupt("model.merges: expected a list, found " + describe(value));
  }
  MergeReader reader(alphabet, spec);
  for (const element merge : merges) {
    std::string_view line, left, right;
    simdjson::dom::array pair;
    if (merge.get(line) == simdjson::SUCCESS) {
      QG_CHECK_OK(reader.add_line(line));
    } else if (merge.get(pair) == simdjson::SUCCESS && pair.size() == 2 &&
               pair.at(0).get(left) == simdjson::SUCCESS &&
               pair.at(1).get(right) == simdjson::SUCCESS) {
      QG_CHECK_OK(reader.add(left, right));
    } else {
      return corrupt("merge " + std::to_string(spec.merges.size()) +
                     ": expected two strings or \"left right\", found " + describe(found(merge)));
    }
  }
  return {};
}

Result<element> parse(simdjson::dom::parser& parser, simdjson::padded_string& storage,
                      std::string_view json, std::string_view name) {
  if (json.size() > kMaxTokenizerFileBytes) {
    return Error{ErrorCode::kTooLong, std::string(name) + ": " + std::to_string(json.size()) +
                                          " bytes, at most " +
                                          std::to_string(kMaxTokenizerFileBytes) + " are read"};
  }
  storage = simdjson::padded_string(json);
  element root;
  if (const auto error = parser.parse(storage).get(root)) {
    return Error{ErrorCode::kInvalidJson,
                 std::string(name) + ": " + simdjson::error_message(error)};
  }
  return root;
}

}  // namespace

Result<TokenizerSpec> parse_tokenizer_json(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::padded_string storage;
  QG_TRY(const element root, parse(parser, storage, json, "tokenizer.json"));
  QG_CHECK_OK(check_normalizer(root));
  QG_CHECK_OK(check_pre_tokenizer(root));
  QG_CHECK_OK(check_model(root["model"]));
  QG_CHECK_OK(check_ends(root));

  const ByteAlphabet alphabet;
  TokenizerSpec spec;
  QG_CHECK_OK(read_vocabulary(root["model"]["vocab"], alphabet, spec.bpe));
  QG_CHECK_OK(read_merges(root["model"]["merges"], alphabet, spec.bpe));
  if (absent(root["added_tokens"])) return spec;
  simdjson::dom::array added;
  if (root["added_tokens"].get(added) != simdjson::SUCCESS) {
    return corrupt("added_tokens: expected a list, found " + describe(root["added_tokens"]));
  }
  for (const element entry : added) {
    QG_TRY(const TokenId id, token_id(entry["id"], "added_tokens"));
    QG_TRY(AddedToken token, added_token(entry, id));
    spec.added.push_back(std::move(token));
  }
  return spec;
}

Result<TokenizerSpec> parse_vocabulary_files(std::string_view vocab_json,
                                             std::string_view merges_txt,
                                             std::string_view tokenizer_config_json) {
  const ByteAlphabet alphabet;
  TokenizerSpec spec;
  {
    simdjson::dom::parser parser;
    simdjson::padded_string storage;
    QG_TRY(const element root,
           parse(parser, storage, tokenizer_config_json, "tokenizer_config.json"));
    const auto name = root["tokenizer_class"];
    if (!is_text(name, "Qwen2Tokenizer") && !is_text(name, "Qwen2TokenizerFast")) {
      return foreign_tokenizer("tokenizer_config.json: tokenizer_class", "\"Qwen2Tokenizer\"",
                               describe(name));
    }
    simdjson::dom::object added;
    if (root["added_tokens_decoder"].get(added) != simdjson::SUCCESS) {
      return corrupt("tokenizer_config.json: expected an object \"added_tokens_decoder\", found " +
                     describe(root["added_tokens_decoder"]));
    }
    for (const auto& [key, entry] : added) {
      std::uint32_t id = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id > kMaxTokenId) {
        return corrupt("tokenizer_config.json: " + bytes::quote(key) +
                       " is not the id of an added token");
      }
      QG_TRY(AddedToken token, added_token(entry, static_cast<TokenId>(id)));
      spec.added.push_back(std::move(token));
    }
  }
  simdjson::dom::parser parser;
  simdjson::padded_string storage;
  QG_TRY(const element root, parse(parser, storage, vocab_json, "vocab.json"));
  QG_CHECK_OK(read_vocabulary(found(root), alphabet, spec.bpe));

  if (Status status = check_utf8(merges_txt); !status.ok()) {
    return std::move(status).error().with_context("merges.txt");
  }
  MergeReader reader(alphabet, spec.bpe);
  for (std::size_t at = 0; at < merges_txt.size();) {
    const std::size_t newline = std::min(merges_txt.find('\n', at), merges_txt.size());
    std::string_view line = merges_txt.substr(at, newline - at);
    const bool header = at == 0 && line.starts_with("#version");
    at = newline + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (header || line.empty()) continue;
    if (Status status = reader.add_line(line); !status.ok()) {
      return std::move(status).error().with_context("merges.txt");
    }
  }
  return spec;
}

Result<std::string> read_tokenizer_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) {
    const bool missing = error == std::errc::no_such_file_or_directory;
    return Error{missing ? ErrorCode::kNotFound : ErrorCode::kIo,
                 bytes::quote_path(path) + ": " + error.message()};
  }
  if (size > kMaxTokenizerFileBytes) {
    return Error{ErrorCode::kTooLong, bytes::quote_path(path) + ": " + std::to_string(size) +
                                          " bytes, at most " +
                                          std::to_string(kMaxTokenizerFileBytes) + " are read"};
  }
  std::string text(static_cast<std::size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    return Error{ErrorCode::kIo, path.string() + ": could not be read"};
  }
  return text;
}

}  // namespace qwen3guard::tokens
