#include "tokens/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/nfc.h"
#include "tokens/pretokenize.h"
#include "tokens/tokenizer_gguf.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {
namespace {

/// Maps spans of normalised text to spans of the source; asked in ascending order.
class SourceMap {
 public:
  SourceMap(std::string_view norm, const std::vector<NfcEdit>& edits, std::size_t base)
      : norm_(norm), edits_(edits), base_(base) {}

  ByteSpan source(std::size_t begin, std::size_t end) {
    while (begin > 0 && begin < norm_.size() && is_continuation(norm_[begin])) --begin;
    while (end < norm_.size() && is_continuation(norm_[end])) ++end;
    return {base_ + start(begin), base_ + finish(end)};
  }

 private:
  std::size_t start(std::size_t at) {
    while (first_ < edits_.size() && edits_[first_].norm_end <= at) ++first_;
    if (first_ < edits_.size() && edits_[first_].norm_begin <= at)
      return edits_[first_].source_begin;
    return first_ == 0 ? at : edits_[first_ - 1].source_end + (at - edits_[first_ - 1].norm_end);
  }
  std::size_t finish(std::size_t at) const {
    std::size_t i = first_;
    while (i < edits_.size() && edits_[i].norm_end < at) ++i;
    if (i < edits_.size() && edits_[i].norm_begin < at) return edits_[i].source_end;
    return i == 0 ? at : edits_[i - 1].source_end + (at - edits_[i - 1].norm_end);
  }

  std::string_view norm_;
  const std::vector<NfcEdit>& edits_;
  std::size_t base_;
  std::size_t first_ = 0;  // the first edit that ends after the last start
};

Status check_spans(const RenderedText& rendered) {
  std::size_t reached = 0;
  for (const ByteSpan& span : rendered.control) {
    if (span.begin < reached || span.end < span.begin || span.end > rendered.text.size()) {
      return Error{ErrorCode::kInvalidArgument,
                   "control span " + std::to_string(span.begin) + " to " +
                       std::to_string(span.end) + " is out of order or outside the text of " +
                       std::to_string(rendered.text.size()) + " bytes"};
    }
    reached = span.end;
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::load(const std::filesystem::path& directory) {
  const std::filesystem::path whole = directory / "tokenizer.json";
  std::error_code ignored;
  const bool split_files = !std::filesystem::exists(whole, ignored) &&
                           std::filesystem::exists(directory / "vocab.json", ignored);
  if (!split_files) {
    QG_TRY(const std::string json, read_tokenizer_file(whole));
    auto result = parse(json);
    if (!result.ok()) return std::move(result).error().with_context(bytes::quote_path(whole));
    return result;
  }
  QG_TRY(const std::string vocab, read_tokenizer_file(directory / "vocab.json"));
  QG_TRY(const std::string merges, read_tokenizer_file(directory / "merges.txt"));
  QG_TRY(const std::string config, read_tokenizer_file(directory / "tokenizer_config.json"));
  auto spec = parse_vocabulary_files(vocab, merges, config);
  if (!spec.ok()) return std::move(spec).error().with_context(bytes::quote_path(directory));
  auto tokenizer = BpeTokenizer::create(std::move(spec).value());
  if (!tokenizer.ok())
    return std::move(tokenizer).error().with_context(bytes::quote_path(directory));
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer).value());
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::parse(std::string_view tokenizer_json) {
  QG_TRY(TokenizerSpec spec, parse_tokenizer_json(tokenizer_json));
  QG_TRY(auto tokenizer, BpeTokenizer::create(std::move(spec)));
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_gguf(const bytes::GgufFile& file) {
  QG_TRY(TokenizerSpec spec, parse_gguf_tokenizer(file));
  auto tokenizer = BpeTokenizer::create(std::move(spec));
  if (!tokenizer.ok()) return std::move(tokenizer).error().with_context("tokenizer.ggml");
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer).value());
}

Result<std::shared_ptr<const BpeTokenizer>> BpeTokenizer::create(TokenizerSpec spec) {
  QG_TRY(Bpe bpe, Bpe::create(spec.bpe));
  std::shared_ptr<BpeTokenizer> self(new BpeTokenizer(std::move(bpe)));
  if (spec.added.size() > kMaxAddedTokens) {
    return Error{ErrorCode::kUnsupported, "added_tokens: " + std::to_string(spec.added.size()) +
                                              ", at most " + std::to_string(kMaxAddedTokens) +
                                              " are supported"};
  }
  self->vocabulary_size_ = self->bpe_.id_limit();
  self->added_ = std::move(spec.added);
  std::stable_sort(
      self->added_.begin(), self->added_.end(),
      [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (std::size_t i = 0; i < self->added_.size(); ++i) {
    const AddedToken& token = self->added_[i];
    const auto fail = [&token](std::string_view why) {
      return Error{ErrorCode::kCorruptFile, "added token " + std::to_string(token.id) + " " +
                                                bytes::quote(token.content) + " " +
                                                std::string(why)};
    };
    if (!self->bpe_.bytes(token.id).empty() && self->bpe_.bytes(token.id) != token.content) {
      return fail("has the id of another token of the vocabulary");
    }
    if (!self->added_by_id_.emplace(token.id, token.content).second) return fail("repeats an id");
    if (!self->added_by_content_.emplace(token.content, token.id).second) {
      return fail("is there twice");
    }
    const auto first = static_cast<unsigned char>(token.content[0]);
    if (self->added_by_first_[first].empty()) self->added_first_bytes_ += token.content[0];
    self->added_by_first_[first].push_back(i);
    self->vocabulary_size_ =
        std::max(self->vocabulary_size_, static_cast<std::size_t>(token.id) + 1);
  }
  return std::shared_ptr<const BpeTokenizer>(std::move(self));
}

std::vector<BpeTokenizer::AddedMatch> BpeTokenizer::find_added(std::string_view text) const {
  std::vector<AddedMatch> matches;
  for (std::size_t at = 0;;) {
    at = added_first_bytes_.size() == 1 ? text.find(added_first_bytes_[0], at)
                                        : text.find_first_of(added_first_bytes_, at);
    if (at == std::string_view::npos) return matches;
    std::size_t next = at + 1;
    for (const std::size_t i : added_by_first_[static_cast<unsigned char>(text[at])]) {
      if (text.substr(at).starts_with(added_[i].content)) {
        next = at + added_[i].content.size();
        matches.push_back({{at, next}, added_[i].id});
        break;
      }
    }
    at = next;
  }
}

Result<std::vector<BpeTokenizer::AddedMatch>> BpeTokenizer::match_control(
    const RenderedText& rendered) const {
  QG_CHECK_OK(check_spans(rendered));
  std::vector<AddedMatch> matches;
  matches.reserve(rendered.control.size());
  for (const ByteSpan& span : rendered.control) {
    const auto token = std::string_view(rendered.text).substr(span.begin, span.end - span.begin);
    const std::optional<TokenId> id = added_token(token);
    if (!id) {
      return Error{ErrorCode::kUnsupported,
                   "byte " + std::to_string(span.begin) +
                       " of the rendered text: expected the tokenizer to have the control token " +
                       bytes::quote(token) +
                       " that the template writes there, found no such added token; use the "
                       "tokenizer files of a Qwen3 checkpoint"};
    }
    matches.push_back({span, *id});
  }
  return matches;
}

Result<Encoding> BpeTokenizer::encode(const RenderedText& rendered) const {
  QG_TRY(const std::vector<AddedMatch> matches, match_control(rendered));
  QG_CHECK_OK(check_utf8(rendered.text));
  return encode_with(rendered.text, matches);
}

Result<Encoding> BpeTokenizer::encode(std::string_view text, bool parse_added_tokens) const {
  QG_CHECK_OK(check_utf8(text));
  return encode_with(text, parse_added_tokens ? find_added(text) : std::vector<AddedMatch>());
}

Encoding BpeTokenizer::encode_with(std::string_view text,
                                   const std::vector<AddedMatch>& matches) const {
  Encoding out;
  out.ids.reserve(text.size() / 3 + matches.size());
  out.offsets.reserve(text.size() / 3 + matches.size());
  std::size_t at = 0;
  for (const AddedMatch& match : matches) {
    encode_segment(text.substr(at, match.span.begin - at), at, out);
    out.ids.push_back(match.id);
    out.offsets.push_back(match.span);
    at = match.span.end;
  }
  encode_segment(text.substr(at), at, out);
  return out;
}

// The reference cuts at added tokens first; normalization, pieces and merges stay inside a segment.
void BpeTokenizer::encode_segment(std::string_view text, std::size_t base, Encoding& out) const {
  const Normalized normalized = normalize_nfc(text);
  const std::string_view norm = normalized.text(text);
  SourceMap map(norm, normalized.edits, base);
  for (std::size_t begin = 0; begin < norm.size();) {
    const std::size_t end = next_piece(norm, begin);
    std::size_t token = out.ids.size();
    bpe_.encode_piece(norm.substr(begin, end - begin), out.ids);
    for (; token < out.ids.size(); ++token) {
      const std::size_t length = bpe_.length(out.ids[token]);
      out.offsets.push_back(map.source(begin, begin + length));
      begin += length;
    }
  }
}

Result<std::string> BpeTokenizer::decode(std::span<const TokenId> ids) const {
  std::string text;
  for (const TokenId id : ids) {
    if (const std::string_view bytes = bpe_.bytes(id); !bytes.empty()) {
      text += bytes;
    } else if (const auto added = added_by_id_.find(id); added != added_by_id_.end()) {
      text += added->second;
    } else {
      return Error{ErrorCode::kInvalidArgument,
                   "token id " + std::to_string(id) + " is not in the vocabulary"};
    }
  }
  return text;
}

std::optional<TokenId> BpeTokenizer::added_token(std::string_view content) const {
  const auto found = added_by_content_.find(content);
  return found == added_by_content_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace qwen3guard::tokens
