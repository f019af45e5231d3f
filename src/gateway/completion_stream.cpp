#include "gateway/completion_stream.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "bytes/json.h"
#include "bytes/quote.h"
#include "formats/verdict_json.h"
#include "gateway/azure_annotations.h"
#include "server/errors.h"
#include "server/json_field.h"

namespace qwen3guard::gateway {
namespace {

using nlohmann::json;
using server::JsonField;

// An upstream repeats what it says around the choices in every chunk; each choice reads it once.
constexpr std::size_t kTextsAround = 16;

Error upstream_error(std::string message) {
  return {ErrorCode::kInvalidArgument, "the upstream's answer: " + std::move(message)};
}

// Whether nothing is left of a choice whose text was sent in parts.
bool says_nothing(const json& chunk, const json& choice) {
  if (!JsonField(chunk)["usage"].missing()) return false;
  for (const auto& [key, value] : choice.items()) {
    if (key != "index" && !value.empty()) return false;  // null and {} are empty
  }
  return true;
}

}  // namespace

CompletionStream::CompletionStream(std::vector<ResponseFilter> filters, AnswerOptions options,
                                   VerdictJson verdict_json)
    : options_(std::move(options)),
      verdict_json_(std::move(verdict_json)),
      reader_(options_.event_bytes) {
  choices_.reserve(filters.size());
  for (ResponseFilter& filter : filters) choices_.emplace_back(std::move(filter));
}

void CompletionStream::annotate_prompt(const Verdict& prompt) {
  if (options_.annotations != Annotations::kAzure) return;
  const json chunk = {{"id", ""},
                      {"object", ""},
                      {"created", 0},
                      {"model", ""},
                      {"prompt_filter_results", azure_prompt_results(prompt, false)},
                      {"choices", json::array()},
                      {"usage", nullptr}};
  output_ += sse_event(chunk.dump());
}

Status CompletionStream::feed(std::string_view bytes) {
  if (ended_) return {};
  std::vector<std::string> events;
  const Status read = reader_.feed(bytes, events);
  for (const std::string& data : events) {
    if (done_) break;
    QG_CHECK_OK(feed_event(data));
  }
  if (!read.ok()) return upstream_error(read.error().message);
  pump();
  return {};
}

Status CompletionStream::feed_end() {
  if (ended_ || done_) return {};
  const bool complete = std::all_of(choices_.begin(), choices_.end(), [](const Choice& choice) {
    return choice.finishing || choice.ended;
  });
  if (!complete) return upstream_error("it was closed before its end");
  finish_all();
  pump();
  return {};
}

Status CompletionStream::feed_event(const std::string& data) {
  if (data == "[DONE]") {
    finish_all();
    return {};
  }
  auto parsed = bytes::parse_json(data, {.max_depth = 32, .max_values = 1u << 18});
  if (!parsed.ok()) return upstream_error("an event " + parsed.error().message);
  json chunk = std::move(parsed).value();
  if (!chunk.is_object()) return upstream_error("an event is no JSON object");
  if (!JsonField(chunk)["error"].missing()) return upstream_error("it reports an error");

  // A retry goes on with the answer that was begun.
  if (id_.is_null()) id_ = chunk.value("id", json());
  if (retries() > 0 && chunk.contains("id")) chunk["id"] = id_;

  json choices = json::array();
  if (const auto found = chunk.find("choices"); found != chunk.end()) {
    choices = std::move(*found);
    chunk.erase(found);
  }
  if (choices.is_null()) choices = json::array();
  if (!choices.is_array()) return upstream_error("choices: expected a list");
  const std::string around = text_around_choices(chunk);
  if (choices.empty()) {
    if (!around.empty()) return upstream_error("text outside of choices cannot be judged");
    chunk["choices"] = json::array();
    others_.push_back({order_++, std::move(chunk), data.size()});
    return {};
  }
  newest_chunk_ = std::make_shared<const json>(std::move(chunk));
  for (json& choice : choices) {
    QG_CHECK_OK(feed_choice(newest_chunk_, std::move(choice), around, data.size()));
  }
  return {};
}

// The texts of one choice of a chunk become items: the thinking one of its own, content and all the
// rest another.
Status CompletionStream::feed_choice(const std::shared_ptr<const json>& chunk, json object,
                                     std::string around, std::size_t size) {
  if (!object.is_object()) return upstream_error("choices: expected objects");
  const json number = object.value("index", json(0));
  if (!number.is_number_unsigned() || number.get<std::uint64_t>() >= choices_.size()) {
    return upstream_error("choices: expected indexes below " + std::to_string(choices_.size()));
  }
  Choice& choice = choices_[number.get<std::size_t>()];
  if (choice.filter.blocked()) return {};  // what still comes goes nowhere
  if (std::find(choice.around.begin(), choice.around.end(), around) != choice.around.end()) {
    around.clear();
  }
  const bool again = choice.filter.roll_backs() > 0;
  if (again && object.contains("delta") && object["delta"].is_object()) {
    // It has thought already, and has said who it is.
    for (const char* key : {"reasoning_content", "reasoning"}) object["delta"].erase(key);
    if (choice.role_sent) object["delta"].erase("role");
  }
  auto read = read_choice(object, "delta", choice.calls, choice.filter.answer_begun());
  if (!read.ok()) return upstream_error("choices: " + read.error().message);
  const bool says_something =
      !read->thinking.empty() || !read->content.empty() || !read->other.empty() || !around.empty();
  if (choice.finishing && (says_something || read->finishes)) {
    return upstream_error("choices: text after the finish_reason");
  }
  if (!around.empty() && choice.around.size() < kTextsAround) choice.around.push_back(around);
  if (!read->other.empty() || !around.empty()) choice.only_text = false;

  if (!read->thinking.empty()) {
    object["delta"].erase(read->thinking_key);
    Item item{.order = order_++,
              .chunk = std::make_shared<const json>(frame_of(*chunk)),
              .choice = {{"index", number}}};
    item.choice["delta"] = json::object();
    if (auto role = object["delta"].find("role"); role != object["delta"].end()) {
      item.choice["delta"]["role"] = *role;
      object["delta"].erase(role);
    }
    item.choice["finish_reason"] = nullptr;
    item.key = read->thinking_key;
    item.text = read->thinking;
    item.text_at = choice.filter.received();
    choice.filter.add(true, item.text);
    item.end = choice.filter.received();
    choice.items.push_back(std::move(item));
  }
  Item item{.order = order_++, .chunk = chunk, .choice = std::move(object)};
  item.text_at = choice.filter.received();
  if (!read->content.empty()) {
    item.key = "content";
    item.text = std::move(read->content);
    item.choice["delta"].erase("content");
    choice.filter.add(false, item.text);
  }
  choice.filter.add(false, read->other + around);
  choice.logprob_bytes += read->logprob_bytes;
  item.end = choice.filter.received();
  if (read->logprob_bytes > 0 && !choice.filter.passes_at_once()) {
    item.end = std::max(item.end, choice.logprob_bytes);
  }
  item.last = read->finishes;
  item.size = size;
  choice.items.push_back(std::move(item));
  if (read->finishes) {
    choice.finishing = true;
    choice.filter.end();
  }
  return {};
}

void CompletionStream::finish_all() {
  done_ = true;
  for (Choice& choice : choices_) {
    if (!choice.finishing) choice.filter.add(false, choice.calls.close());
    choice.finishing = true;
    choice.filter.end();
  }
}

Status CompletionStream::judge() {
  if (ended_) return {};
  for (Choice& choice : choices_) {
    if (choice.ended) continue;
    Status status = choice.filter.judge();
    if (status.ok()) continue;
    if (!options_.fails_open()) return status;
    choice.filter.give_up();
  }
  pump();
  if (Status status = check_held_events(); !status.ok()) {
    if (!options_.fails_open()) return status;
    give_up();
  }
  return {};
}

Status CompletionStream::check_held_events() const {
  std::size_t sum = 0;
  for (const Other& other : others_) sum += other.size;
  for (const Choice& choice : choices_) {
    for (const Item& item : choice.items) sum += item.size;
  }
  if (sum <= options_.held_event_bytes) return {};
  return Error{ErrorCode::kTooLong, "events of more than " +
                                        bytes::byte_count(options_.held_event_bytes) +
                                        " wait for a verdict"};
}

void CompletionStream::give_up() {
  for (Choice& choice : choices_) choice.filter.give_up();
  pump();
}

bool CompletionStream::wants_retry() const {
  const Choice& choice = choices_.front();
  return !ended_ && options_.rolls_back() && choices_.size() == 1 && choice.only_text &&
         choice.filter.can_roll_back() && retries() < options_.roll_back.retries;
}

Status CompletionStream::roll_back(std::string_view begin) {
  Choice& choice = choices_.front();
  choice.taken_back = choice.filter.verdict();
  QG_CHECK_OK(choice.filter.roll_back());
  choice.items.clear();
  choice.calls = {};
  choice.logprob_bytes = choice.filter.received();
  choice.finishing = false;
  others_.clear();
  reader_ = SseReader(options_.event_bytes);
  done_ = false;
  if (begin.empty()) return {};
  const json text = {{"index", 0u}, {"delta", {{"content", begin}}}, {"finish_reason", nullptr}};
  return feed_choice(std::make_shared<const json>(frame_of(*newest_chunk_)), text, "",
                     begin.size());
}

void CompletionStream::end_flagged() {
  if (ended_) return;
  send_blocked(0, *choices_.front().taken_back);
  output_ += sse_event("[DONE]");
  ended_ = ended_flagged_ = true;
}

void CompletionStream::fail(std::string_view code, std::string_view message) {
  if (ended_) return;
  output_ += sse_event(server::error_response(502, code, message).body);
  ended_ = true;
}

void CompletionStream::pump() {
  for (;;) {
    const std::uint64_t next = others_.empty() ? order_ : others_.front().order;
    for (std::size_t index = 0; index < choices_.size(); ++index) pump_choice(index, next);
    const bool waits = std::any_of(choices_.begin(), choices_.end(), [&](const Choice& choice) {
      return !choice.items.empty() && choice.items.front().order < next;
    });
    if (others_.empty() || waits) break;
    output_ += sse_event(others_.front().chunk.dump());
    others_.pop_front();
  }
  const auto all = [&](auto predicate) {
    return std::all_of(choices_.begin(), choices_.end(), predicate);
  };
  const bool complete = done_ && others_.empty() && all([](const Choice& choice) {
                          return choice.ended || (choice.items.empty() && choice.filter.finished());
                        });
  // An upstream that writes only for choices that nobody reads is not waited for.
  const bool left_alone = blocked() && all([](const Choice& choice) { return choice.ended; });
  if (complete || left_alone) {
    output_ += sse_event("[DONE]");
    ended_ = true;
  }
}

// Sends what may be sent of what came before `end`.
void CompletionStream::pump_choice(std::size_t index, std::uint64_t end) {
  Choice& choice = choices_[index];
  const std::size_t released = choice.filter.released();
  while (!choice.items.empty() && choice.items.front().order < end) {
    Item& item = choice.items.front();
    const bool whole = choice.filter.finished() || (!item.last && item.end <= released);
    if (!whole) {
      if (item.text_at < released) send_text(index, item, released);
      break;
    }
    choice.ended = choice.ended || item.last;
    send_item(index, std::move(item));
    choice.items.pop_front();
  }
  if (choice.filter.blocked() && !choice.ended && !wants_retry()) {
    send_blocked(index, choice.filter.verdict());
  }
}

// Sends the released part of an item's text.
void CompletionStream::send_text(std::size_t index, Item& item, std::size_t released) {
  const std::size_t size = std::min(released - item.text_at, item.text.size());
  if (size == 0) return;
  json choice = {{"index", index}, {"finish_reason", nullptr}};
  choice["delta"] = {{item.key, item.text.substr(0, size)}};
  json& rest = item.choice["delta"];
  if (const auto role = rest.find("role"); role != rest.end()) {
    choice["delta"]["role"] = *role;
    rest.erase(role);
  }
  annotate(choices_[index].filter, false, choice);
  choices_[index].role_sent = true;  // in the first text, if at all
  send(frame_of(*item.chunk), json::array({std::move(choice)}));
  item.text.erase(0, size);
  item.text_at += size;
  item.cut = true;
}

void CompletionStream::send_item(std::size_t index, Item item) {
  if (!item.text.empty()) item.choice["delta"][item.key] = std::move(item.text);
  if (item.cut && says_nothing(*item.chunk, item.choice)) return;
  Choice& choice = choices_[index];
  const ResponseFilter& filter = choice.filter;
  choice.role_sent = true;
  const bool reports = options_.filter.mode == ResponseMode::kAudit || filter.roll_backs() > 0;
  if (item.last && reports && !filter.given_up()) {
    item.choice["qwen3guard"] = verdict_of(choice, filter.verdict());
  }
  annotate(filter, item.last, item.choice);
  send(*item.chunk, json::array({std::move(item.choice)}));
}

json CompletionStream::verdict_of(const Choice& choice, const Verdict& verdict) const {
  auto object = verdict_json_(verdict);
  if (options_.rolls_back()) add_waiting(options_.roll_back, choice.filter.roll_backs(), object);
  return object;
}

void CompletionStream::send_blocked(std::size_t index, const Verdict& verdict) {
  Choice& choice = choices_[index];
  choice.items.clear();
  choice.ended = true;
  json last = {{"index", index}, {"delta", json::object()}, {"finish_reason", "content_filter"}};
  if (options_.replaces()) last["delta"]["content"] = options_.replacement;
  last["qwen3guard"] = verdict_of(choice, verdict);
  if (options_.annotations == Annotations::kAzure) {
    last["content_filter_results"] = azure_results(verdict, true);
  }
  send(frame_of(*newest_chunk_), json::array({std::move(last)}));
}

// Where text leaves before it is judged, only the last event can say what was found.
void CompletionStream::annotate(const ResponseFilter& filter, bool last, json& choice) const {
  if (options_.annotations != Annotations::kAzure || (filter.passes_at_once() && !last)) return;
  choice["content_filter_results"] =
      filter.given_up() ? azure_unjudged() : azure_results(filter.verdict(), false);
}

void CompletionStream::send(const json& chunk, json choices) {
  json whole = chunk;
  whole["choices"] = std::move(choices);
  output_ += sse_event(whole.dump());
}

std::vector<Verdict> CompletionStream::verdicts() const {
  std::vector<Verdict> verdicts;
  if (ended_flagged_) return {*choices_.front().taken_back};
  for (const Choice& choice : choices_) {
    if (choice.filter.received() > 0) verdicts.push_back(choice.filter.verdict());
  }
  return verdicts;
}

bool CompletionStream::blocked() const {
  return ended_flagged_ || std::any_of(choices_.begin(), choices_.end(), [](const Choice& choice) {
           return choice.filter.blocked();
         });
}

bool CompletionStream::failed_open() const {
  return std::any_of(choices_.begin(), choices_.end(),
                     [](const Choice& choice) { return choice.filter.given_up(); });
}

std::size_t CompletionStream::leaked_characters() const {
  std::size_t sum = 0;
  for (const Choice& choice : choices_) sum += choice.filter.leaked_characters();
  return sum;
}

std::size_t CompletionStream::held_bytes() const {
  std::size_t sum = 0;
  for (const Choice& choice : choices_) {
    sum += choice.filter.received() - choice.filter.released();
  }
  return sum;
}

}  // namespace qwen3guard::gateway
