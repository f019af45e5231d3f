// A conversation under way: rendering, incremental tokens, reading, judging.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/loaded.h"
#include "engine/reader.h"
#include "engine/response.h"
#include "tokens/chat_template.h"
#include "tokens/text_stream.h"

namespace qwen3guard::engine {

/// Implements qwen3guard::Session; see there for the contracts.
///
/// The rendered conversation is one growing text; `stream_` turns it into ids from its very start,
/// and take() compares them with what `reader_` holds: ids already read are skipped, a difference
/// cuts the reader back. Roll-back and the template's dropped think blocks need no other mechanism.
class SessionState {
 public:
  using Tokens = std::vector<JudgedToken>;

  /// Reads the conversation and judges its last message if that is the user's.
  static Result<std::unique_ptr<SessionState>> open(std::shared_ptr<const Loaded> loaded,
                                                    Conversation conversation,
                                                    const Policy& policy);

  const Verdict& prompt() const { return prompt_; }
  Result<Tokens> append(std::string_view text);
  Result<Tokens> append_thinking(std::string_view text);
  Result<Tokens> append_ids(std::span<const tokens::TokenId> ids);
  Result<Tokens> finish();
  Verdict response() const;
  std::span<const JudgedToken> tokens() const { return judged_.tokens(); }
  std::size_t held_bytes() const;
  Status roll_back(std::size_t index);
  Status truncate(std::size_t bytes);
  Status next_turn(Message message);

 private:
  enum class Stage { kIdle, kThinking, kAnswer, kFinished, kFailed };

  /// A stretch of the rendered text that came from the caller: thinking or answer.
  struct Part {
    bool begun = false;
    std::string source;             // as received
    std::size_t rendered = 0;       // its first byte in the rendered text
    std::size_t end = 0;            // past its last byte there, so far
    std::size_t dropped = 0;        // leading newlines that the template drops
    std::string held_newlines;      // trailing newlines that it may drop (thinking)
    std::size_t counted_bytes = 0;  // code points are counted as tokens advance
    std::size_t counted_characters = 0;

    bool overlaps(const tokens::ByteSpan& span) const {
      return begun && span.begin < end && span.end > rendered;
    }
  };

  SessionState(std::shared_ptr<const Loaded> loaded, Conversation conversation,
               const Policy& policy);
  Status read_conversation();
  Result<tokens::RenderedText> opening(Stage stage) const;
  Result<Tokens> begin(Stage stage);
  Result<Tokens> append_to(Stage stage, std::string_view text);
  Result<Tokens> finish_text();
  Result<Tokens> take(const tokens::Encoding& encoding);
  JudgedToken describe(const tokens::ByteSpan& span, tokens::TokenId id);
  Status cut_back(std::size_t ids);
  Status keep(bool in_answer, std::size_t bytes);
  void reset_response();
  Result<Tokens> guarded(Result<Tokens> result);

  std::shared_ptr<const Loaded> loaded_;
  Conversation conversation_;
  Policy policy_;
  Reader reader_;
  Verdict prompt_;

  Stage stage_ = Stage::kIdle;
  bool by_ids_ = false;
  std::optional<tokens::TextStream> stream_;
  std::size_t emitted_ = 0;       // ids that stream_ has given
  std::size_t rendered_end_ = 0;  // bytes of rendered text given to stream_, its prefix included
  Part thinking_;
  Part answer_;
  JudgedResponse judged_;
  std::vector<std::size_t> positions_;  // of each judged token in the reader's sequence
};

}  // namespace qwen3guard::engine
