#include "tokens/text_stream.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "tokens/bpe_tokenizer.h"
#include "tokens/nfc.h"
#include "tokens/prefix_encoder.h"
#include "tokens/pretokenize.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {

// bytes -> (UTF-8, NFC) pending_ -> normalised text norm_ -> pieces -> tokens. Each stage passes on
// only what later text cannot change. A control token ends a segment: everything before it is
// final, and the normalised text starts anew.
struct TextStream::State {
  explicit State(std::shared_ptr<const BpeTokenizer> shared)
      : tokenizer(std::move(shared)), encoder(tokenizer->bpe()) {}

  std::shared_ptr<const BpeTokenizer> tokenizer;
  Encoding ready;  // stable, not returned yet
  bool closed = false;

  // Source bytes that normalization could still change, and where they begin in the source.
  std::string pending;
  std::size_t pending_source = 0;
  std::size_t pending_seen = 0;  // bytes of whole characters that have been looked at

  // Normalised text of this segment. Positions count from the segment's start; bytes before
  // norm_begin have been thrown away.
  std::string norm;
  std::size_t norm_begin = 0;
  std::deque<NfcEdit> edits;  // norm: segment's positions; source: absolute
  // Where both run in step again after the edits that have been dropped.
  std::size_t anchor_norm = 0, anchor_source = 0;

  std::size_t token_begin = 0;  // end of the last stable token
  std::size_t piece_begin = 0;
  PieceScanner scanner;
  PrefixEncoder encoder;  // of the current piece's first bytes, or empty

  bool incremental() const { return tokenizer->bpe().regular(); }
  std::size_t norm_end() const { return norm_begin + norm.size(); }
  std::string_view norm_from(std::size_t position) const {
    return std::string_view(norm).substr(position - norm_begin);
  }

  Status feed(std::string_view bytes);
  Status feed_template(const RenderedText& rendered);
  void normalize(std::size_t size);
  void cut_pieces();
  void end_pieces();
  void end_piece(std::size_t size);
  Status end_segment();
  void add_offsets();
  std::size_t character_start(std::size_t position) const;
  ByteSpan source(std::size_t begin, std::size_t end);
  void forget();
};

Status TextStream::State::feed(std::string_view bytes) {
  pending += bytes;
  const std::size_t whole = pending.size() - incomplete_utf8_tail(pending);
  const std::string_view fresh =
      std::string_view(pending).substr(pending_seen, whole - pending_seen);
  QG_CHECK_OK(check_utf8(fresh, pending_source + pending_seen));
  const std::size_t stable =
      nfc_stable_prefix(std::string_view(pending).substr(0, whole), pending_seen);
  pending_seen = whole - stable;
  if (stable == 0) return {};
  normalize(stable);
  cut_pieces();
  return {};
}

/// Moves the first `size` bytes of pending to norm.
void TextStream::State::normalize(std::size_t size) {
  const std::string_view text = std::string_view(pending).substr(0, size);
  const Normalized normalized = normalize_nfc(text);
  for (const NfcEdit& edit : normalized.edits) {
    edits.push_back({edit.norm_begin + norm_end(), edit.norm_end + norm_end(),
                     edit.source_begin + pending_source, edit.source_end + pending_source});
  }
  norm += normalized.text(text);
  pending.erase(0, size);
  pending_source += size;
}

/// Emits the pieces that are complete.
void TextStream::State::end_pieces() {
  while (const auto end = scanner.scan(norm_from(piece_begin + scanner.scanned()))) end_piece(*end);
}

/// Emits what is stable.
void TextStream::State::cut_pieces() {
  end_pieces();
  if (incremental() && scanner.scanned() > 0) {
    if (encoder.size() < scanner.if_ended()) {
      const std::size_t more = scanner.if_ended() - encoder.size();
      encoder.append(norm_from(piece_begin + encoder.size()).substr(0, more));
    }
    encoder.settle(scanner.committed(), ready.ids);
    add_offsets();
  }
  forget();
}

/// The piece is `size` bytes long: emits the rest of its tokens and begins the next.
void TextStream::State::end_piece(std::size_t size) {
  if (encoder.size() == 0) {
    tokenizer->bpe().encode_piece(norm_from(piece_begin).substr(0, size), ready.ids);
  } else {
    if (encoder.size() < size) {
      encoder.append(norm_from(piece_begin + encoder.size()).substr(0, size - encoder.size()));
    }
    encoder.encoding(size, ready.ids);
    encoder.reset();
  }
  add_offsets();
  piece_begin += size;
  scanner = PieceScanner();
}

/// As if the text ended here.
Status TextStream::State::end_segment() {
  if (pending_seen != pending.size()) {
    return Error{ErrorCode::kInvalidUtf8,
                 "the text is not UTF-8: it ends inside the character that begins at byte " +
                     std::to_string(pending_source + pending_seen)};
  }
  if (!pending.empty()) normalize(pending.size());
  pending_seen = 0;
  for (end_pieces(); scanner.scanned() > 0; end_pieces()) end_piece(scanner.if_ended());
  norm.clear();
  edits.clear();
  norm_begin = token_begin = piece_begin = anchor_norm = 0;
  anchor_source = pending_source;
  return {};
}

Status TextStream::State::feed_template(const RenderedText& rendered) {
  QG_TRY(const auto matches, tokenizer->match_control(rendered));
  if (pending_seen != pending.size() && !rendered.text.empty()) return end_segment();  // its error
  QG_CHECK_OK(check_utf8(rendered.text, pending_source + pending.size()));
  const std::string_view text = rendered.text;
  std::size_t at = 0;
  for (const auto& match : matches) {
    QG_CHECK_OK(feed(text.substr(at, match.span.begin - at)));
    QG_CHECK_OK(end_segment());
    const std::size_t size = match.span.end - match.span.begin;
    ready.ids.push_back(match.id);
    ready.offsets.push_back({pending_source, pending_source + size});
    pending_source += size;
    anchor_source = pending_source;
    at = match.span.end;
  }
  return feed(text.substr(at));
}

/// Gives the newest ids their offsets.
void TextStream::State::add_offsets() {
  while (ready.offsets.size() < ready.ids.size()) {
    const std::size_t end = token_begin + tokenizer->bpe().length(ready.ids[ready.offsets.size()]);
    ready.offsets.push_back(source(token_begin, end));
    token_begin = end;
  }
}

std::size_t TextStream::State::character_start(std::size_t position) const {
  if (position == norm_end()) return position;
  while (position > norm_begin && is_continuation(norm[position - norm_begin])) --position;
  return position;
}

/// Source bytes of a stretch of normalised text, out to whole characters and rewritten sequences.
/// Asked in ascending order.
ByteSpan TextStream::State::source(std::size_t begin, std::size_t end) {
  begin = character_start(begin);
  while (end < norm_end() && is_continuation(norm[end - norm_begin])) ++end;
  while (!edits.empty() && edits.front().norm_end <= begin) {
    anchor_norm = edits.front().norm_end;
    anchor_source = edits.front().source_end;
    edits.pop_front();
  }
  ByteSpan span{anchor_source + (begin - anchor_norm), 0};
  if (!edits.empty() && edits.front().norm_begin <= begin) span.begin = edits.front().source_begin;
  std::size_t norm_at = anchor_norm, source_at = anchor_source;
  for (const NfcEdit& edit : edits) {
    if (edit.norm_begin >= end) break;
    norm_at = edit.norm_end;
    source_at = edit.source_end;
  }
  span.end = norm_at >= end ? source_at : source_at + (end - norm_at);
  return span;
}

/// Throws normalised text away once it is at least half of what is held.
void TextStream::State::forget() {
  const std::size_t needed = incremental() ? token_begin : std::min(token_begin, piece_begin);
  const std::size_t unused = character_start(needed) - norm_begin;
  if (unused * 2 < norm.size()) return;
  norm.erase(0, unused);
  norm_begin += unused;
}

TextStream::TextStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
TextStream::TextStream(TextStream&&) noexcept = default;
TextStream& TextStream::operator=(TextStream&&) noexcept = default;
TextStream::~TextStream() = default;

Result<TextStream> TextStream::open(std::shared_ptr<const Tokenizer> tokenizer,
                                    const RenderedText& prefix) {
  auto bpe = std::dynamic_pointer_cast<const BpeTokenizer>(std::move(tokenizer));
  if (bpe == nullptr) {
    return Error{ErrorCode::kUnsupported, "text streams need a tokenizer from Tokenizer::load"};
  }
  auto state = std::make_unique<State>(std::move(bpe));
  QG_CHECK_OK(state->feed_template(prefix));
  return TextStream(std::move(state));
}

/// Runs one step and hands out what it made stable; an error closes the stream.
template <typename Step>
Result<Encoding> TextStream::run(Step step) {
  if (state_->closed) {
    return Error{ErrorCode::kInvalidState, "the stream has ended or failed"};
  }
  if (Status status = step(); !status.ok()) {
    state_->closed = true;
    return std::move(status).error();
  }
  return std::exchange(state_->ready, {});
}

Result<Encoding> TextStream::append(std::string_view bytes) {
  return run([&] { return state_->feed(bytes); });
}

Result<Encoding> TextStream::append_template(const RenderedText& rendered) {
  return run([&] { return state_->feed_template(rendered); });
}

Result<Encoding> TextStream::finish(const RenderedText& suffix) {
  auto result = run([&]() -> Status {
    QG_CHECK_OK(state_->feed_template(suffix));
    return state_->end_segment();
  });
  state_->closed = true;
  return result;
}

Result<Encoding> TextStream::provisional() const {
  if (state_->closed) {
    return Error{ErrorCode::kInvalidState, "the stream has ended or failed"};
  }
  State copy = *state_;
  copy.ready = {};
  copy.pending.resize(copy.pending_seen);
  QG_CHECK_OK(copy.end_segment());
  return std::move(copy.ready);
}

std::size_t TextStream::stable_bytes() const {
  State& state = *state_;
  const std::size_t begin = state.character_start(state.token_begin);
  return state.source(begin, begin).begin;
}

}  // namespace qwen3guard::tokens
