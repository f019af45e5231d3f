// One guarded answer: its text comes in, and how much of it may be sent comes out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qwen3guard/guard.h"
#include "verdict/debounce.h"

namespace qwen3guard::gateway {

enum class ResponseMode {
  kHold,     // text leaves once its tokens, and the debounce, are judged
  kChunked,  // the same in blocks, which leave whole or not at all
  kCut,      // text leaves at once, and no more of it after a flag
  kAudit,    // text leaves at once, flagged or not
};

struct FilterOptions {
  ResponseMode mode = ResponseMode::kHold;
  /// kChunked: characters of a block; 0: blocks end with sentences.
  std::size_t block_characters = 0;
  /// Newest judged tokens of the answer that wait although they are cleared, so that roll_back()
  /// can take them back. 0: none, and no roll-back.
  std::size_t buffer_tokens = 0;
  std::size_t held_bytes = 256u << 10;  // received and without a verdict
  std::size_t text_bytes = 4u << 20;    // of the whole answer
};

/// Judges the thinking and the answer, which are one text here: positions are bytes of both,
/// thinking first. Pure but for the model behind the session; used from one thread at a time.
///
/// A flag is the first that blocks under the policy, token by token, so that the result does not
/// depend on how the text was cut.
class ResponseFilter {
 public:
  ResponseFilter(Session session, const Policy& policy, const FilterOptions& options);

  /// Takes more text, whole characters. Thinking that comes after the answer has begun is judged as
  /// part of the answer.
  void add(bool thinking, std::string_view text);
  /// The answer comes whole: from now on a mode that blocks is kHold.
  void hold();
  /// No more text follows.
  void end() { ending_ = true; }
  /// Judges what came since the last time. After an error nothing more is released. Errors: those
  /// of Session; kTooLong for the limits.
  Status judge();
  /// Judges no more and releases everything, now and in future: who fails open asks for it.
  void give_up();

  /// Whether what blocks the answer can be taken back. Thinking cannot: no upstream goes on with
  /// it.
  bool can_roll_back() const {
    return options_.buffer_tokens > 0 && blocked() && answer_begun_ &&
           *block_at_ >= thinking_bytes_;
  }
  /// Forgets all that is not released: what is added next goes on from there, not blocked. Errors:
  /// those of Session. REQUIRES: can_roll_back().
  Status roll_back();
  std::size_t roll_backs() const { return roll_backs_; }
  // What came, without what was taken back. REQUIRE: buffer_tokens > 0.
  std::string_view thinking() const { return std::string_view(kept_).substr(0, thinking_bytes_); }
  std::string_view answer() const { return std::string_view(kept_).substr(thinking_bytes_); }
  std::string_view released_answer() const {
    return answer().substr(0, released_ - std::min(released_, thinking_bytes_));
  }

  std::size_t received() const { return received_; }
  /// Text before this position may be sent. Never shrinks, is the beginning of a character, and
  /// nothing at or after it has been released.
  std::size_t released() const { return released_; }
  bool blocked() const { return block_at_.has_value(); }
  bool answer_begun() const { return answer_begun_; }
  /// Whether text is released before it is judged.
  bool passes_at_once() const {
    return given_up_ || options_.mode == ResponseMode::kCut ||
           options_.mode == ResponseMode::kAudit;
  }
  /// All text is judged and released.
  bool finished() const { return finished_ && !blocked(); }
  bool given_up() const { return given_up_; }
  /// Characters that were released from where kHold would have stopped.
  std::size_t leaked_characters() const { return leaked_; }
  Verdict verdict() const { return session_.response(); }

 private:
  Status judge_pending();
  void read_tokens();
  void clear_up_to_token(std::size_t index);
  void release();
  std::size_t buffer_begin() const;
  std::size_t block_end(std::size_t clear) const;
  std::size_t position(const JudgedToken& token, std::size_t byte) const {
    return token.thinking ? byte : thinking_bytes_ + byte;
  }
  /// The beginning of the character that holds `at`.
  std::size_t character_begin(std::size_t at) const;

  Session session_;
  FilterOptions options_;
  verdict::Debouncer debouncer_;
  std::vector<std::pair<bool, std::string>> pending_;
  std::string kept_;  // the text from kept_at_ on; all of it with a buffer
  std::size_t kept_at_ = 0;
  std::size_t thinking_bytes_ = 0;
  std::size_t received_ = 0;
  std::size_t cleared_ = 0;  // judged, and no flag can reach back before it
  std::size_t released_ = 0;
  std::size_t leaked_ = 0;
  std::size_t roll_backs_ = 0;
  std::optional<std::size_t> block_at_;
  bool answer_begun_ = false;
  bool ending_ = false;
  bool finished_ = false;
  bool given_up_ = false;
};

}  // namespace qwen3guard::gateway
