// Shared by the tests of tokens/: the golden tokenizer, toy vocabularies, random text.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokens/bpe.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/tokenizer.h"
#include "tokens/tokenizer_file.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {

inline std::filesystem::path golden_tokenizer_directory() {
  return std::filesystem::path(QG_TEST_DATA) / "tokenizer";
}

/// The bytes of tokenizer.json in `directory`.
inline std::string tokenizer_json(const std::filesystem::path& directory) {
  auto text = read_tokenizer_file(directory / "tokenizer.json");
  if (!text.ok()) throw std::runtime_error(text.error().message);
  return std::move(text).value();
}

inline std::string read_gzip(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot open " + path.string());
  std::string text, block(1 << 16, '\0');
  int n = 0;
  while ((n = gzread(file, block.data(), static_cast<unsigned>(block.size()))) > 0) {
    text.append(block, 0, static_cast<std::size_t>(n));
  }
  gzclose(file);
  return text;
}

/// The texts with the reference's answers, one JSON object each (tests/golden/README.md).
inline std::vector<std::string> golden_sample() {
  std::istringstream text(read_gzip(golden_tokenizer_directory() / "sample.jsonl.gz"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

/// The checked-in, trimmed Qwen3 tokenizer.
inline std::shared_ptr<const Tokenizer> golden_tokenizer() {
  static const auto tokenizer = [] {
    auto loaded = Tokenizer::load(golden_tokenizer_directory());
    if (!loaded.ok()) throw std::runtime_error(loaded.error().message);
    return std::move(loaded).value();
  }();
  return tokenizer;
}

/// A directory that lasts as long as the object.
class Directory {
 public:
  Directory() : path_(std::filesystem::temp_directory_path() / ("tokens_test_" + name())) {
    std::filesystem::create_directories(path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& file, const std::string& text) const {
    std::ofstream(path_ / file, std::ios::binary) << text;
  }

 private:
  static std::string name() {
    return std::to_string(std::random_device()()) + "_" + std::to_string(std::random_device()());
  }
  std::filesystem::path path_;
};

/// A vocabulary of all bytes (ids 0 to 255) and one token for each merge that makes a new string.
inline BpeSpec toy_spec(const std::vector<std::pair<std::string, std::string>>& merges) {
  BpeSpec spec;
  std::vector<std::string> known;
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.push_back({byte, std::string(1, static_cast<char>(byte))});
    known.push_back(spec.tokens.back().bytes);
  }
  for (const auto& [left, right] : merges) {
    spec.merges.push_back({left, right});
    if (std::find(known.begin(), known.end(), left + right) != known.end()) continue;
    spec.tokens.push_back({static_cast<TokenId>(spec.tokens.size()), left + right});
    known.push_back(left + right);
  }
  return spec;
}

/// Bytes, and `added` as added tokens.
inline std::shared_ptr<const Tokenizer> toy_tokenizer(const std::vector<std::string>& added) {
  TokenizerSpec spec{toy_spec({}), {}};
  for (const std::string& token : added) {
    spec.added.push_back({static_cast<TokenId>(256 + spec.added.size()), token});
  }
  auto tokenizer = BpeTokenizer::create(std::move(spec));
  if (!tokenizer.ok()) throw std::runtime_error(tokenizer.error().message);
  return std::move(tokenizer).value();
}

using Random = std::mt19937;

inline std::size_t below(Random& random, std::size_t limit) {
  return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
}

/// A random string of characters from the places where tokenizers go wrong.
inline std::string random_text(Random& random, std::size_t characters) {
  static const std::vector<std::vector<std::pair<char32_t, char32_t>>> kPools = {
      {{'a', 'z'}},
      {{'A', 'Z'}, {'a', 'z'}, {' ', ' '}},
      {{'0', '9'}},
      {{'!', '/'}, {':', '@'}},
      {{' ', ' '}, {'\t', '\t'}, {'\n', '\n'}, {'\r', '\r'}},
      {{' ', ' '}, {'\n', '\n'}},
      {{0xA0, 0xA0}, {0x3000, 0x3000}, {0x2028, 0x2029}, {0x85, 0x85}, {' ', ' '}},
      {{'\'', '\''},
       {'s', 't'},
       {'S', 'T'},
       {'l', 'm'},
       {'d', 'e'},
       {'r', 'r'},
       {'v', 'v'},
       {0x17F, 0x17F}},
      {{0x300, 0x345}, {'a', 'e'}},
      {{0xC0, 0x17F}},
      {{0x4E00, 0x9FFF}},
      {{0x3041, 0x30FF}},
      {{0x1100, 0x11FF}, {0xAC00, 0xD7A3}},
      {{0x900, 0x97F}},
      {{0x1F300, 0x1F64F}, {0x200D, 0x200D}, {0xFE0F, 0xFE0F}, {0x1F3FB, 0x1F3FF}},
      {{0, 0x1F}},
      {{0x20, 0xD7FF}, {0xE000, 0x10FFFF}},
  };
  std::string text;
  const auto& first = kPools[below(random, kPools.size())];
  const auto& second = kPools[below(random, kPools.size())];
  for (std::size_t i = 0; i < characters; ++i) {
    const auto& pool = below(random, 3) == 0 ? second : first;
    const auto& range = pool[below(random, pool.size())];
    append_utf8(text,
                static_cast<char32_t>(range.first + below(random, range.second - range.first + 1)));
  }
  return text;
}

inline Encoding encode_plain(const Tokenizer& tokenizer, std::string_view text) {
  auto result = tokenizer.encode(text, false);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? std::move(result).value() : Encoding{};
}

}  // namespace qwen3guard::tokens
