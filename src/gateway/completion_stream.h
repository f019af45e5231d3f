// A streamed chat completion: the upstream's server-sent events in, those for the client out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/answer_options.h"
#include "gateway/choice_text.h"
#include "gateway/response_filter.h"
#include "gateway/sse.h"

namespace qwen3guard::gateway {

/// Pure but for the model; used from one thread at a time. The caller gives bytes, sends take(),
/// calls judge(), and sends take() again: modes that let text pass before it is judged then lose no
/// time.
class CompletionStream {
 public:
  /// One filter for each choice that was asked for.
  CompletionStream(std::vector<ResponseFilter> filters, AnswerOptions options,
                   VerdictJson verdict_json);

  /// With annotations: sends what was found in the prompt, in an event of its own. Before the first
  /// feed().
  void annotate_prompt(const Verdict& prompt);
  /// Takes bytes of the upstream's answer. Errors are the upstream's: what it sent is no chat
  /// completion. Nothing that the bytes hold is sent then.
  Status feed(std::string_view bytes);
  /// The upstream closed the stream. Error: it had not finished its answer.
  Status feed_end();
  /// Runs the model over what came. Errors are the guard's; none if failing open.
  Status judge();
  /// Judges no more and lets everything pass.
  void give_up();

  /// The answer is flagged, and what was not sent of it may be written anew: roll_back() or
  /// end_flagged() comes next. Only single answers without function calls and the like.
  bool wants_retry() const;
  /// All of the flagged answer.
  std::string flagged_answer() const { return std::string(choices_.front().filter.answer()); }
  std::string sent_answer() const { return std::string(choices_.front().filter.released_answer()); }
  /// Forgets what was not sent. A new stream follows, whose content goes on with `begin` after
  /// what was sent. Errors: those of Session.
  Status roll_back(std::string_view begin);
  std::size_t retries() const { return choices_.front().filter.roll_backs(); }
  /// Nothing follows the last roll-back: the answer ends as flagged.
  void end_flagged();

  /// Ends the stream with an error event, whatever is held.
  void fail(std::string_view code, std::string_view message);

  /// What may be sent now.
  std::string take() { return std::exchange(output_, {}); }
  /// Everything is in take(); the upstream is not needed any more.
  bool ended() const { return ended_; }

  std::vector<Verdict> verdicts() const;  // of the choices, so far
  bool blocked() const;
  bool failed_open() const;
  std::size_t leaked_characters() const;
  std::size_t held_bytes() const;

 private:
  using Json = nlohmann::json;
  // A choice of a chunk, or a part of one. It is sent once all that it says is released; `text`
  // may be sent before, in pieces.
  struct Item {
    std::uint64_t order = 0;
    std::shared_ptr<const Json> chunk;  // without choices
    Json choice;                        // without `text`
    std::string key = {};               // where in the delta `text` belongs
    std::string text = {};              // not sent yet
    std::size_t text_at = 0;            // its position
    std::size_t end = 0;                // the position that must be released
    bool cut = false;                   // a part of the text has been sent
    bool last = false;
    std::size_t size = 0;  // of its event
  };
  // A chunk without choices.
  struct Other {
    std::uint64_t order = 0;
    Json chunk;
    std::size_t size = 0;
  };
  struct Choice {
    explicit Choice(ResponseFilter taken)
        : filter(std::move(taken)),
          logprob_bytes(filter.received()),
          only_text(filter.received() == 0) {}
    ResponseFilter filter;
    CallText calls;
    std::deque<Item> items;
    std::vector<std::string> around;  // texts around the choices that it has been given
    std::size_t logprob_bytes;        // where the text ends that logprobs have spelt
    bool only_text = true;            // thinking and content: no other key said anything
    bool role_sent = false;
    bool finishing = false;             // the upstream has finished it
    bool ended = false;                 // its last chunk is sent
    std::optional<Verdict> taken_back;  // of what was rolled back last
  };

  Status feed_event(const std::string& data);
  Status feed_choice(const std::shared_ptr<const Json>& chunk, Json choice, std::string around,
                     std::size_t size);
  Status check_held_events() const;
  void finish_all();
  void pump();
  void pump_choice(std::size_t index, std::uint64_t end);
  void send_text(std::size_t index, Item& item, std::size_t released);
  void send_item(std::size_t index, Item item);
  void send_blocked(std::size_t index, const Verdict& verdict);
  Json verdict_of(const Choice& choice, const Verdict& verdict) const;
  void annotate(const ResponseFilter& filter, bool last, Json& choice) const;
  void send(const Json& chunk, Json choices);

  const AnswerOptions options_;
  const VerdictJson verdict_json_;
  SseReader reader_;
  std::vector<Choice> choices_;
  std::deque<Other> others_;
  std::shared_ptr<const Json> newest_chunk_ = std::make_shared<const Json>(Json::object());
  Json id_;  // of the first chunk
  std::uint64_t order_ = 0;
  std::string output_;
  bool done_ = false;  // the upstream said so
  bool ended_ = false;
  bool ended_flagged_ = false;
};

}  // namespace qwen3guard::gateway
