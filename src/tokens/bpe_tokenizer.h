// The one implementation of Tokenizer.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokens/bpe.h"
#include "tokens/tokenizer.h"
#include "tokens/tokenizer_file.h"

namespace qwen3guard::tokens {

class BpeTokenizer final : public Tokenizer {
 public:
  static Result<std::shared_ptr<const BpeTokenizer>> create(TokenizerSpec spec);

  Result<Encoding> encode(const RenderedText& rendered) const override;
  Result<Encoding> encode(std::string_view text, bool parse_added_tokens) const override;
  Result<std::string> decode(std::span<const TokenId> ids) const override;
  std::optional<TokenId> added_token(std::string_view content) const override;
  std::size_t vocabulary_size() const override { return vocabulary_size_; }

  const Bpe& bpe() const { return bpe_; }

  struct AddedMatch {
    ByteSpan span;
    TokenId id;
  };
  /// The added tokens that a template wrote. Errors: those of encode(rendered), but for UTF-8.
  Result<std::vector<AddedMatch>> match_control(const RenderedText& rendered) const;

 private:
  explicit BpeTokenizer(Bpe bpe) : bpe_(std::move(bpe)) {}
  /// The added tokens in `text`: the leftmost first, the longest of those that begin together.
  std::vector<AddedMatch> find_added(std::string_view text) const;
  Encoding encode_with(std::string_view text, const std::vector<AddedMatch>& matches) const;
  void encode_segment(std::string_view text, std::size_t base, Encoding& out) const;

  Bpe bpe_;
  std::vector<AddedToken> added_;  // longest first
  std::unordered_map<std::string_view, TokenId> added_by_content_;
  std::unordered_map<TokenId, std::string_view> added_by_id_;
  /// Indices into added_ of the tokens that begin with a byte, longest first.
  std::array<std::vector<std::size_t>, 256> added_by_first_;
  std::string added_first_bytes_;
  std::size_t vocabulary_size_ = 0;
};

}  // namespace qwen3guard::tokens
