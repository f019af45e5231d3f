#include "gateway/response_filter.h"

#include <algorithm>

#include "base/check.h"
#include "base/try.h"
#include "bytes/quote.h"
#include "bytes/utf8.h"
#include "tokens/nfc.h"

namespace qwen3guard::gateway {
namespace {

// A sentence without an end must not wait for ever.
constexpr std::size_t kLongestSentence = 1000;

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !bytes::is_continuation(c); }));
}

// Whether a sentence ends with the character text[at, next). Latin full stops need the space after
// them: "3.14" goes on.
bool ends_sentence(std::string_view text, std::size_t at, std::size_t next) {
  const std::string_view character = text.substr(at, next - at);
  if (character == "\n" || character == "。" || character == "！" || character == "？") return true;
  if (character != "." && character != "!" && character != "?") return false;
  return next < text.size() && (text[next] == ' ' || text[next] == '\n');
}

}  // namespace

ResponseFilter::ResponseFilter(Session session, const Policy& policy, const FilterOptions& options)
    : session_(std::move(session)), options_(options), debouncer_(policy.debounce()) {}

void ResponseFilter::add(bool thinking, std::string_view text) {
  if (text.empty() || blocked()) return;
  thinking = thinking && !answer_begun_;
  answer_begun_ = !thinking;
  if (thinking) thinking_bytes_ += text.size();
  received_ += text.size();
  if (!given_up_) {
    if (pending_.empty() || pending_.back().first != thinking) pending_.push_back({thinking, ""});
    pending_.back().second += text;
  }
  if (!given_up_ || options_.buffer_tokens > 0) kept_ += text;
  if (passes_at_once()) released_ = received_;
}

void ResponseFilter::hold() {
  if (options_.mode != ResponseMode::kAudit) options_.mode = ResponseMode::kHold;
}

Status ResponseFilter::judge_pending() {
  for (const auto& [thinking, text] : std::exchange(pending_, {})) {
    QG_CHECK_OK(thinking ? session_.append_thinking(text) : session_.append(text));
    read_tokens();
    if (blocked()) return {};
  }
  if (ending_ && !finished_) {
    QG_CHECK_OK(session_.finish());
    finished_ = true;
    read_tokens();
    if (!blocked()) cleared_ = received_;
  }
  return {};
}

Status ResponseFilter::judge() {
  if (blocked()) return {};
  if (given_up_) {
    finished_ = ending_;
    return {};
  }
  if (received_ > options_.text_bytes) {
    return Error{ErrorCode::kTooLong,
                 "an answer has more than " + bytes::byte_count(options_.text_bytes)};
  }
  QG_CHECK_OK(judge_pending());
  release();
  if (!blocked() && received_ - cleared_ > options_.held_bytes) {
    return Error{ErrorCode::kTooLong,
                 "more than " + bytes::byte_count(options_.held_bytes) + " wait for a verdict"};
  }
  return {};
}

void ResponseFilter::give_up() {
  if (blocked()) return;
  given_up_ = true;
  finished_ = ending_;
  pending_.clear();
  if (options_.buffer_tokens == 0) kept_.clear();
  released_ = received_;
}

Status ResponseFilter::roll_back() {
  QG_CHECK(can_roll_back());
  QG_CHECK_OK(session_.truncate(released_ - thinking_bytes_));
  kept_.resize(released_);
  received_ = cleared_ = released_;
  pending_.clear();
  // Tokens before the cut that a continuation may change are gone, too, and come again with it.
  debouncer_.truncate(session_.tokens().size());
  block_at_.reset();
  ending_ = finished_ = false;
  ++roll_backs_;
  return {};
}

void ResponseFilter::read_tokens() {
  const auto tokens = session_.tokens();
  for (std::size_t i = debouncer_.size(); i < tokens.size(); ++i) {
    debouncer_.push(tokens[i].label);
    const auto flag = debouncer_.flag();
    if (options_.mode != ResponseMode::kAudit && flag && flag->action == Decision::kBlock) {
      const JudgedToken& armed = tokens[i - 1];
      block_at_ = cleared_ = std::min(cleared_, position(armed, armed.byte_begin));
      return;
    }
    clear_up_to_token(i);
  }
}

// Token `index` was judged and raised no flag.
void ResponseFilter::clear_up_to_token(std::size_t index) {
  const JudgedToken& token = session_.tokens()[index];
  const std::size_t begin = std::max(position(token, token.byte_begin), kept_at_);
  const std::size_t end = position(token, token.byte_end);
  if (token.label.risk != Risk::kSafe) {
    // A flag at the next token would reach back to this one.
    cleared_ = std::max(cleared_, begin);
    return;
  }
  // The next token may stand for the same bytes: a character can have several tokens, and so can
  // characters that NFC rewrites. ASCII never does.
  const std::size_t last = character_begin(end > begin ? end - 1 : end);
  const std::string_view source = std::string_view(kept_).substr(begin - kept_at_, end - begin);
  const bool alone = end == begin || last + 1 == end;
  const bool rewritten = !alone && !tokens::normalize_nfc(source).edits.empty();
  cleared_ = std::max(cleared_, alone ? end : rewritten ? begin : last);
}

std::size_t ResponseFilter::character_begin(std::size_t at) const {
  at = std::clamp(at, kept_at_, received_);
  while (at > kept_at_ && at < received_ && bytes::is_continuation(kept_[at - kept_at_])) --at;
  return at;
}

void ResponseFilter::release() {
  const std::size_t clear = character_begin(cleared_);
  if (passes_at_once()) {
    if (blocked() && clear < released_) {
      leaked_ = characters(std::string_view(kept_).substr(clear - kept_at_, released_ - clear));
    }
  } else {
    const std::size_t free = std::min(clear, buffer_begin());
    const std::size_t end = options_.mode == ResponseMode::kChunked ? block_end(free) : free;
    released_ = std::max(released_, end);
  }
  if (options_.buffer_tokens > 0) return;
  // A token may reach back into what is cleared, but not into what was dropped here.
  const std::size_t last_token =
      session_.tokens().empty()
          ? 0
          : position(session_.tokens().back(), session_.tokens().back().byte_begin);
  const std::size_t drop = character_begin(std::min({released_, clear, last_token}));
  kept_.erase(0, drop - kept_at_);
  kept_at_ = drop;
}

// Counted from the newest token that was read: a flag's own, however much came with it.
std::size_t ResponseFilter::buffer_begin() const {
  if (options_.buffer_tokens == 0 || finished()) return received_;
  const std::size_t read = debouncer_.size();
  if (read < options_.buffer_tokens) return thinking_bytes_;
  const JudgedToken& oldest = session_.tokens()[read - options_.buffer_tokens];
  return oldest.thinking ? thinking_bytes_ : character_begin(position(oldest, oldest.byte_begin));
}

// The end of the last whole block in what is cleared.
std::size_t ResponseFilter::block_end(std::size_t clear) const {
  if (finished_ && !blocked()) return clear;
  const bool sentences = options_.block_characters == 0;
  const std::size_t longest = sentences ? kLongestSentence : options_.block_characters;
  const std::string_view text = std::string_view(kept_).substr(released_ - kept_at_);
  const std::size_t size = clear > released_ ? clear - released_ : 0;
  std::size_t end = 0, count = 0;
  for (std::size_t at = 0; at < size;) {
    std::size_t next = at + 1;
    while (next < text.size() && bytes::is_continuation(text[next])) ++next;
    if (next > size) break;
    if (++count == longest || (sentences && ends_sentence(text, at, next))) {
      end = next;
      count = 0;
    }
    at = next;
  }
  return released_ + end;
}

}  // namespace qwen3guard::gateway
