// From a session to a view: text is shown once it is judged, and in whole characters.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/stream_view.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::apps {

/// Feeds one response through `session` and tells `view`. A token's text waits while a later token
/// may cover part of the same character. With `stop`, ends at the first flag with which the policy
/// blocks: nothing from the flagged token's first byte on is shown. Session and view outlive it.
class StreamFeed {
 public:
  StreamFeed(Session& session, StreamView& view, bool stop)
      : session_(session), view_(view), stop_(stop) {}

  /// Errors: those of the session (the response cannot be judged further) and of the view (output).
  /// Calls after stopped() do nothing.
  Status append(std::string_view text);
  Status append_thinking(std::string_view text);
  Status finish();

  bool stopped() const { return stopped_; }
  /// Whether the last error was the view's: nobody can be told any more.
  bool view_failed() const { return view_failed_; }

 private:
  Status take(Result<std::vector<JudgedToken>> judged);
  Status push(const JudgedToken& token, const Verdict& verdict);
  Status release(std::size_t limit);
  Status told(Status status);
  std::string& source(bool thinking) { return thinking ? thinking_ : answer_; }

  Session& session_;
  StreamView& view_;
  const bool stop_;
  bool stopped_ = false;
  bool view_failed_ = false;
  std::string thinking_;  // as received
  std::string answer_;
  std::vector<JudgedToken> held_;  // judged, their last character not certainly complete
  std::size_t held_end_ = 0;
  std::size_t shown_ = 0;  // bytes of the part that held_ belongs to
  bool in_thinking_ = false;
  std::optional<std::size_t> flag_;  // the token that was reported last
  std::optional<Decision> flag_decision_;
};

}  // namespace qwen3guard::apps
