#include "tokens/tokenizer_gguf.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "bytes/quote.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/byte_level.h"

namespace qwen3guard::tokens {
namespace {

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

// ggml calls them so; 2 (unknown) and 6 (byte) belong to SentencePiece vocabularies.
enum TokenType : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

std::string element(const char* key, std::size_t index) {
  return std::string(key) + ": element " + std::to_string(index);
}

Status require_text(const bytes::GgufFile& file, const char* key, std::string_view wanted) {
  const bytes::GgufEntry* entry = file.find_metadata(key);
  std::string found = "nothing";
  if (entry != nullptr) {
    const auto text = entry->as<std::string_view>();
    if (text.ok() && *text == wanted) return {};
    found = text.ok() ? bytes::quote(*text) : entry->type_text();
  }
  return foreign_tokenizer(key, bytes::quote(wanted), found);
}

Result<std::vector<std::string_view>> strings(const bytes::GgufFile& file, const char* key) {
  // Before anything is allocated for them.
  const bytes::GgufEntry* entry = file.find_metadata(key);
  if (entry != nullptr && entry->bytes.size() > kMaxTokenizerFileBytes) {
    return Error{ErrorCode::kTooLong, std::string(key) + ": " +
                                          bytes::byte_count(entry->bytes.size()) + ", at most " +
                                          bytes::byte_count(kMaxTokenizerFileBytes) + " are read"};
  }
  return file.get<std::vector<std::string_view>>(key);
}

Status add_token(std::size_t id, std::string_view text, std::int32_t type,
                 const ByteAlphabet& alphabet, TokenizerSpec& spec) {
  switch (type) {
    case kNormal: {
      auto bytes = alphabet.bytes(text);
      if (!bytes) {
        return foreign_tokenizer(element(kTokens, id), "byte-level spelling", bytes::quote(text));
      }
      spec.bpe.tokens.push_back({static_cast<TokenId>(id), *std::move(bytes)});
      return {};
    }
    case kControl:
    case kUserDefined:
      if (text.empty()) {
        return Error{ErrorCode::kCorruptFile, element(kTokens, id) + ": an added token of 0 bytes"};
      }
      spec.added.push_back({static_cast<TokenId>(id), std::string(text), type == kControl});
      return {};
    case kUnused:  // the embedding has a row for it, and nothing else
      return {};
    default:
      return foreign_tokenizer(element(kTypes, id),
                               "1 (normal), 3 (control), 4 (user defined) or 5 (unused)",
                               std::to_string(type));
  }
}

Status read_tokens(const bytes::GgufFile& file, const ByteAlphabet& alphabet, TokenizerSpec& spec) {
  QG_TRY(const auto tokens, strings(file, kTokens));
  if (tokens.size() > kMaxTokenId + 1) {
    return Error{ErrorCode::kUnsupported, std::string(kTokens) + ": " +
                                              std::to_string(tokens.size()) + " tokens, at most " +
                                              std::to_string(kMaxTokenId + 1) + " are supported"};
  }
  QG_TRY(const auto types, file.get<std::vector<std::int32_t>>(kTypes));
  if (types.size() != tokens.size()) {
    return Error{ErrorCode::kCorruptFile, std::string(kTypes) + ": expected a type for each of " +
                                              std::to_string(tokens.size()) + " tokens, found " +
                                              std::to_string(types.size())};
  }
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    QG_CHECK_OK(add_token(id, tokens[id], types[id], alphabet, spec));
  }
  return {};
}

Status read_merges(const bytes::GgufFile& file, const ByteAlphabet& alphabet, BpeSpec& spec) {
  QG_TRY(const auto merges, strings(file, kMerges));
  MergeReader reader(alphabet, spec);
  for (const std::string_view merge : merges) {
    if (Status status = reader.add_line(merge); !status.ok()) {
      return std::move(status).error().with_context(kMerges);
    }
  }
  return {};
}

Result<std::uint32_t> required_id(const Tokenizer& tokenizer, std::string_view content) {
  const auto id = tokenizer.added_token(content);
  if (!id) {
    return foreign_tokenizer("added_tokens", bytes::quote(content), "no such token");
  }
  return static_cast<std::uint32_t>(*id);
}

}  // namespace

Result<TokenizerSpec> parse_gguf_tokenizer(const bytes::GgufFile& file) {
  QG_CHECK_OK(require_text(file, kModel, "gpt2"));
  // Names the normalizer and the pre-tokenizer, which the file does not describe.
  QG_CHECK_OK(require_text(file, kPre, "qwen2"));
  const ByteAlphabet alphabet;
  TokenizerSpec spec;
  QG_CHECK_OK(read_tokens(file, alphabet, spec));
  QG_CHECK_OK(read_merges(file, alphabet, spec.bpe));
  return spec;
}

Result<bytes::GgufMetadata> gguf_tokenizer_metadata(std::string_view tokenizer_json,
                                                    std::size_t vocabulary_size) {
  QG_TRY(const TokenizerSpec spec, parse_tokenizer_json(tokenizer_json));
  // Finds every contradiction, so that only tokenizers that can be read again are written.
  QG_TRY(const auto tokenizer, BpeTokenizer::create(spec));
  if (vocabulary_size < tokenizer->vocabulary_size() || vocabulary_size > kMaxTokenId + 1) {
    return Error{ErrorCode::kInvalidArgument,
                 "vocabulary size: expected " + std::to_string(tokenizer->vocabulary_size()) +
                     " (what the tokenizer needs) to " + std::to_string(kMaxTokenId + 1) +
                     ", found " + std::to_string(vocabulary_size)};
  }
  QG_TRY(const std::uint32_t end, required_id(*tokenizer, "<|im_end|>"));
  QG_TRY(const std::uint32_t padding, required_id(*tokenizer, "<|endoftext|>"));

  std::vector<std::string> tokens(vocabulary_size);
  std::vector<std::int32_t> types(vocabulary_size, kUnused);
  const auto put = [&](TokenId id, std::string text, TokenType type) {
    tokens[static_cast<std::size_t>(id)] = std::move(text);
    types[static_cast<std::size_t>(id)] = type;
  };
  const ByteAlphabet alphabet;
  for (const auto& [id, bytes] : spec.bpe.tokens) put(id, alphabet.spelled(bytes), kNormal);
  for (const auto& [id, content, special] : spec.added) {
    if (types[static_cast<std::size_t>(id)] == kNormal) {
      return Error{ErrorCode::kUnsupported,
                   "added token " + std::to_string(id) + " " + bytes::quote(content) +
                       " is in the vocabulary too; a GGUF file can only say one of the two"};
    }
    put(id, content, special ? kControl : kUserDefined);
  }
  for (std::size_t id = 0; id < vocabulary_size; ++id) {
    if (types[id] == kUnused) tokens[id] = "[PAD" + std::to_string(id) + "]";
  }
  std::vector<std::string> merges;
  merges.reserve(spec.bpe.merges.size());
  for (const auto& [left, right] : spec.bpe.merges) {
    merges.push_back(alphabet.spelled(left) + " " + alphabet.spelled(right));
  }
  return bytes::GgufMetadata{{kModel, std::string("gpt2")},
                             {kPre, std::string("qwen2")},
                             {kTokens, std::move(tokens)},
                             {kTypes, std::move(types)},
                             {kMerges, std::move(merges)},
                             {"tokenizer.ggml.eos_token_id", end},
                             {"tokenizer.ggml.padding_token_id", padding},
                             {"tokenizer.ggml.add_bos_token", false}};
}

}  // namespace qwen3guard::tokens
