// A streamed chat completion: the upstream's server-sent events in, those for the client out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
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
        : filter(std::move(taken)), logprob_bytes(filter.received()) {}
    ResponseFilter filter;
    CallText calls;
    std::deque<Item> items;
    std::vector<std::string> around;  // texts around the choices that it has been given
    std::size_t logprob_bytes;        // where the text ends that logprobs have spelt
    bool finishing = false;           // the upstream has finished it
    bool ended = false;               // its last chunk is sent
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
  void send_blocked(std::size_t index);
  void annotate(const ResponseFilter& filter, bool last, Json& choice) const;
  void send(const Json& chunk, Json choices);

  const AnswerOptions options_;
  const VerdictJson verdict_json_;
  SseReader reader_;
  std::vector<Choice> choices_;
  std::deque<Other> others_;
  std::shared_ptr<const Json> newest_chunk_ = std::make_shared<const Json>(Json::object());
  std::uint64_t order_ = 0;
  std::string output_;
  bool done_ = false;  // the upstream said so
  bool ended_ = false;
};

}  // namespace qwen3guard::gateway
