#include "intervention/guarded_writing.h"

#include <optional>
#include <utility>

#include "base/try.h"

namespace qwen3guard::intervention {

std::string introspection_question(std::string_view query, std::string_view answer) {
  return "You are a safe and responsible language model. When responding to a user's harmful "
         "request, you may have generated content that was inappropriate or could lead to improper "
         "associations. Next, please reflect briefly and provide a self-criticism. Start your "
         "response with \"...oh I'm sorry, I just realized\". The conversation history for this "
         "instance is: User Query: " +
         std::string(query) + " Your Prior Response: " + std::string(answer);
}

Result<GuardedAnswer> GuardedWriting::run() {
  const std::size_t retries = options_.strategy == Strategy::kStop ? 0 : options_.retries;
  for (;;) {
    QG_TRY(const std::optional<Piece> piece, writer_.next());
    if (piece) {
      QG_CHECK_OK(take(*piece));
    } else {
      QG_TRY(const auto closing, session_.finish());
    }
    if (flagged()) {
      if (answer_.retries < retries) {
        QG_CHECK_OK(retry());
        continue;
      }
      QG_CHECK_OK(give_up());
      if (answer_.outcome != InterventionOutcome::kProceeded) return result();
    }
    if (!piece) {
      QG_CHECK_OK(release(buffer_.size()));
      answer_.finish = writer_.finish();
      return result();
    }
    QG_CHECK_OK(release(releasable()));
  }
}

Status GuardedWriting::take(const Piece& piece) {
  text_ += piece.text;
  buffer_.push_back({piece.text.size(), piece.tokens});
  buffered_tokens_ += piece.tokens;
  auto judged = session_.append(piece.text);
  return judged.ok() ? Status() : Status(std::move(judged).error());
}

bool GuardedWriting::flagged() const {
  return answer_.outcome != InterventionOutcome::kProceeded &&
         session_.response().decision == Decision::kBlock;
}

// What the guard has judged, but for the last token: the next one may make a flag of it, or share
// its last character.
std::size_t GuardedWriting::certain_bytes() const {
  const auto judged = session_.tokens();
  return judged.empty() ? 0 : judged.back().byte_begin;
}

// Pieces that may be released: all, or those before what must wait.
std::size_t GuardedWriting::releasable() const {
  if (answer_.outcome == InterventionOutcome::kProceeded) return buffer_.size();
  const std::size_t certain = certain_bytes();
  std::size_t pieces = 0, bytes = released_bytes_, tokens = buffered_tokens_;
  for (const Held& piece : buffer_) {
    tokens -= piece.tokens;
    bytes += piece.bytes;
    if (tokens < options_.buffer || bytes > certain) break;
    ++pieces;
  }
  return pieces;
}

Status GuardedWriting::release(std::size_t pieces) {
  const std::size_t before = released_bytes_;
  for (; pieces > 0; --pieces) {
    released_bytes_ += buffer_.front().bytes;
    buffered_tokens_ -= buffer_.front().tokens;
    answer_.released_tokens += buffer_.front().tokens;
    buffer_.pop_front();
  }
  const std::string_view text = std::string_view(text_).substr(before, released_bytes_ - before);
  return text.empty() ? Status() : observer_.released(text);
}

Status GuardedWriting::discard() {
  const std::string text = text_.substr(released_bytes_);
  text_.resize(released_bytes_);
  answer_.discarded_tokens += std::exchange(buffered_tokens_, 0);
  buffer_.clear();
  return observer_.discarded(text, session_.response());
}

Status GuardedWriting::retry() {
  const std::string flagged = text_;
  ++answer_.retries;
  answer_.outcome = InterventionOutcome::kRecovered;
  QG_CHECK_OK(discard());
  QG_CHECK_OK(session_.truncate(released_bytes_));
  QG_CHECK_OK(writer_.roll_back(answer_.released_tokens));
  return options_.strategy == Strategy::kIntrospect ? introspect(flagged) : Status();
}

// A criticism for which there is no place is left out: then the retry is a resampling.
Status GuardedWriting::introspect(std::string_view flagged) {
  auto criticism = writer_.ask(introspection_question(query_, flagged), options_.buffer);
  Status inserted = criticism.ok() ? writer_.insert(*criticism) : Status(criticism.error());
  if (inserted.ok()) return observer_.introspected(*criticism);
  return inserted.error().code == ErrorCode::kTooLong ? Status() : inserted;
}

Status GuardedWriting::give_up() {
  const LastResort then = options_.strategy == Strategy::kStop ? LastResort::kStop : options_.then;
  if (then == LastResort::kProceed) {
    answer_.outcome = InterventionOutcome::kProceeded;
    return {};
  }
  QG_CHECK_OK(discard());
  if (then == LastResort::kStop) {
    answer_.outcome = InterventionOutcome::kStopped;
    return {};
  }
  answer_.outcome = InterventionOutcome::kReplaced;
  text_ += options_.replacement;
  return options_.replacement.empty() ? Status() : observer_.released(options_.replacement);
}

GuardedAnswer GuardedWriting::result() {
  answer_.text = std::move(text_);
  answer_.buffer = options_.buffer;
  answer_.generated_tokens = writer_.generated_tokens();
  answer_.prompt = session_.prompt();
  answer_.response = session_.response();
  return std::move(answer_);
}

}  // namespace qwen3guard::intervention
