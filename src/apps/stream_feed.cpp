#include "apps/stream_feed.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/try.h"

namespace qwen3guard::apps {
namespace {

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

int severity(Risk risk) { return risk == Risk::kUnsafe ? 2 : risk == Risk::kControversial ? 1 : 0; }

}  // namespace

Status StreamFeed::append(std::string_view text) {
  if (stopped_) return {};
  answer_ += text;
  return take(session_.append(text));
}

Status StreamFeed::append_thinking(std::string_view text) {
  if (stopped_) return {};
  thinking_ += text;
  return take(session_.append_thinking(text));
}

Status StreamFeed::finish() {
  if (stopped_) return {};
  QG_CHECK_OK(take(session_.finish()));
  return stopped_ ? Status() : release(kNoLimit);
}

Status StreamFeed::take(Result<std::vector<JudgedToken>> judged) {
  if (!judged.ok()) return std::move(judged).error();
  if (judged->empty()) return {};
  const Verdict verdict = session_.response();
  for (const JudgedToken& token : *judged) {
    QG_CHECK_OK(push(token, verdict));
    if (stopped_) return {};
  }
  return {};
}

Status StreamFeed::push(const JudgedToken& token, const Verdict& verdict) {
  const bool apart = token.thinking != in_thinking_ || token.byte_begin >= held_end_;
  if (!held_.empty() && apart) QG_CHECK_OK(release(kNoLimit));
  if (token.thinking != in_thinking_) {
    in_thinking_ = token.thinking;
    shown_ = 0;
    held_end_ = 0;
  }
  // A later flag can replace one that was only reported (a block goes before it).
  const bool flagged_here = verdict.flagged && verdict.flagged->token == token.index &&
                            (flag_ != token.index || flag_decision_ != verdict.decision);
  if (flagged_here) {
    flag_ = token.index;
    flag_decision_ = verdict.decision;
    stopped_ = stop_ && verdict.decision == Decision::kBlock;
    if (stopped_) QG_CHECK_OK(release(token.byte_begin));
    QG_CHECK_OK(told(view_.flag(token, verdict, stopped_)));
    if (stopped_) return {};
  }
  held_.push_back(token);
  held_end_ = std::max(held_end_, token.byte_end);
  // ASCII is complete in itself; any other last character may be shared with the next token.
  const std::string& text = source(in_thinking_);
  const bool complete = token.byte_end <= token.byte_begin || held_end_ > text.size() ||
                        static_cast<unsigned char>(text[held_end_ - 1]) < 0x80;
  return complete ? release(kNoLimit) : Status();
}

// Shows what is held, but no byte from `limit` on.
Status StreamFeed::release(std::size_t limit) {
  Risk worst = Risk::kSafe;
  for (const JudgedToken& token : held_) {
    if (severity(token.verdict.risk) > severity(worst)) worst = token.verdict.risk;
  }
  const std::string_view text = source(in_thinking_);
  for (const JudgedToken& token : std::exchange(held_, {})) {
    // Bytes that no token stands for (newlines that the template drops) go with the token after
    // them.
    const std::size_t end = std::min({held_end_, limit, text.size()});
    const std::size_t begin = std::min(shown_, end);
    QG_CHECK_OK(told(view_.token(token, text.substr(begin, end - begin), worst)));
    shown_ = std::max(shown_, end);
  }
  return {};
}

Status StreamFeed::told(Status status) {
  view_failed_ = view_failed_ || !status.ok();
  return status;
}

}  // namespace qwen3guard::apps
