// The loop of detection, roll-back, introspection and retry. Knows nothing of where text comes
// from.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "intervention/writer.h"
#include "qwen3guard/intervention.h"

namespace qwen3guard::intervention {

/// What the model is asked for its criticism: CARE's words.
std::string introspection_question(std::string_view query, std::string_view answer);

/// Writes one answer under a guard. `session` holds the same conversation as `writer`; both, and
/// `observer`, outlive it. Each piece is judged as it comes, and stays in the buffer until
/// `options.buffer` newer tokens have been judged without a flag; a flag takes back the whole
/// buffer, so that nothing of it was ever released.
class GuardedWriting {
 public:
  GuardedWriting(Writer& writer, Session& session, std::string_view query,
                 const InterventionOptions& options, InterventionObserver& observer)
      : writer_(writer), session_(session), query_(query), options_(options), observer_(observer) {}

  /// To be called once. Errors: those of the writer, the session and the observer.
  Result<GuardedAnswer> run();

 private:
  struct Held {
    std::size_t bytes;
    std::size_t tokens;
  };

  Status take(const Piece& piece);
  bool flagged() const;
  std::size_t certain_bytes() const;
  std::size_t releasable() const;
  Status release(std::size_t pieces);
  Status discard();
  Status retry();
  Status introspect(std::string_view flagged);
  Status give_up();
  GuardedAnswer result();

  Writer& writer_;
  Session& session_;
  const std::string query_;
  const InterventionOptions& options_;
  InterventionObserver& observer_;

  std::string text_;         // the answer, as far as it is written and not taken back
  std::deque<Held> buffer_;  // pieces of its end
  std::size_t buffered_tokens_ = 0;
  std::size_t released_bytes_ = 0;  // of text_: where the buffer begins
  GuardedAnswer answer_;
};

}  // namespace qwen3guard::intervention
