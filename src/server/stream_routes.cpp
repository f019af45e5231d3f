// Streams: an answer is judged while it is being written, over several requests.
#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"
#include "bytes/utf8.h"
#include "formats/verdict_json.h"
#include "server/chat_messages.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/json_field.h"

namespace qwen3guard::server {
namespace {

using formats::OrderedJson;

Error no_stream_yet() {
  return {ErrorCode::kInvalidState,
          "no stream is open on this connection: the first message has messages"};
}

// What one request adds to an answer.
struct Addition {
  std::string thinking;
  std::string text;
  std::vector<std::int32_t> ids;
  bool end_turn = false;  // the answer is complete
  bool finish = false;    // and the stream with it
};

Result<std::vector<std::int32_t>> parse_ids(const JsonField& field) {
  std::vector<std::int32_t> ids;
  if (field.missing()) return ids;
  QG_TRY(const std::vector<JsonField> items, field.items());
  ids.reserve(items.size());
  for (const JsonField& item : items) {
    const bool id = item->is_number_unsigned() &&
                    item->get<std::uint64_t>() <= std::numeric_limits<std::int32_t>::max();
    if (!id) return item.expected("a token id");
    ids.push_back(item->get<std::int32_t>());
  }
  return ids;
}

const std::string kKeys = "text, ids, reasoning_content, end_turn or finish";

Result<Addition> parse_addition(const JsonField& body) {
  for (const auto& [key, value] : body->items()) {
    static constexpr std::array<std::string_view, 5> kKnown = {"text", "ids", "reasoning_content",
                                                               "end_turn", "finish"};
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) {
      return body.invalid("unknown key " + bytes::quote(key, 40) + "; expected " + kKeys);
    }
  }
  Addition addition;
  QG_TRY(addition.thinking, body["reasoning_content"].text_or(""));
  QG_TRY(addition.text, body["text"].text_or(""));
  QG_TRY(addition.ids, parse_ids(body["ids"]));
  QG_TRY(addition.finish, body["finish"].boolean_or(false));
  QG_TRY(addition.end_turn, body["end_turn"].boolean_or(false));
  addition.end_turn |= addition.finish;
  if (!addition.ids.empty() && !(addition.text.empty() && addition.thinking.empty())) {
    return body["ids"].invalid("give text or ids, not both");
  }
  const bool nothing = body["text"].missing() && body["ids"].missing() &&
                       body["reasoning_content"].missing() && !addition.end_turn;
  if (nothing) return body.invalid("expected " + kKeys + ", found none");
  return addition;
}

using Tokens = std::vector<JudgedToken>;

Result<Tokens> judge(Stream& stream, const Addition& addition) {
  Tokens judged;
  const auto add = [&](Result<Tokens> tokens) -> Status {
    if (!tokens.ok()) return std::move(tokens).error();
    judged.insert(judged.end(), tokens->begin(), tokens->end());
    return {};
  };
  if (!addition.thinking.empty()) {
    QG_CHECK_OK(add(stream.session.append_thinking(addition.thinking)));
    stream.thinking += addition.thinking;
  }
  if (!addition.text.empty()) {
    QG_CHECK_OK(add(stream.session.append(addition.text)));
    stream.answer += addition.text;
  }
  if (!addition.ids.empty()) QG_CHECK_OK(add(stream.session.append_ids(addition.ids)));
  if (addition.end_turn) QG_CHECK_OK(add(stream.session.finish()));
  return judged;
}

Error closed(Error error) {
  error.message += "; the stream is closed: treat its response as not safe";
  return error;
}

// What no earlier token has had: tokens may share a character, and some bytes no token stands for.
// Text that came as ids is not known here.
OrderedJson token_text(Stream& stream, const JudgedToken& token) {
  const std::string& text = token.thinking ? stream.thinking : stream.answer;
  std::size_t& shown = token.thinking ? stream.thinking_shown : stream.answer_shown;
  if (token.byte_end > text.size()) return nullptr;
  std::size_t end = std::max(shown, token.byte_end);
  while (end < text.size() && bytes::is_continuation(text[end])) ++end;
  const std::size_t begin = std::exchange(shown, end);
  return text.substr(begin, end - begin);
}

// Characters at the end of what was sent that have no verdict yet.
std::size_t held_characters(const Stream& stream) {
  const std::string& text = stream.answer.empty() ? stream.thinking : stream.answer;
  std::size_t begin = text.size() - std::min(text.size(), stream.session.held_bytes());
  while (begin > 0 && begin < text.size() && bytes::is_continuation(text[begin])) --begin;
  return static_cast<std::size_t>(
      std::count_if(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(),
                    [](char byte) { return !bytes::is_continuation(byte); }));
}

Result<Response> open(Service& service, const std::string& client, const JsonField& body) {
  QG_TRY(const Conversation conversation, parse_messages(body["messages"]));
  QG_CHECK_OK(service.streams().check_room());
  if (service.streams().full_for(client)) {
    service.metrics().rate_limited("streams");
    return rate_limited(std::chrono::seconds(1),
                        "this API key has as many open streams as it may; close some");
  }
  QG_TRY(Session session, service.guard().open(conversation, service.policy()));
  const Verdict prompt = session.prompt();
  service.metrics().verdict(prompt);
  QG_TRY(const std::string id, service.streams().add(std::move(session), client));
  const OrderedJson answer = {{"id", id},
                              {"object", "stream"},
                              {"model", service.model()},
                              {"prompt", service.verdict_json(prompt)},
                              {"time_to_live", service.streams().limits().time_to_live.count()}};
  return Response{.status = 201,
                  .body = formats::to_line(answer),
                  .headers = {{"Location", std::string(kStreamPath) + id}},
                  .decision = prompt.decision};
}

Result<Response> append(Service& service, const Request& request, const JsonField& body) {
  QG_TRY(const Addition addition, parse_addition(body));
  QG_TRY(StreamStore::Lease stream, service.streams().take(request.parameter, request.client));
  if (stream->turn_ended) {
    return Error{ErrorCode::kInvalidState,
                 "the answer is complete: give the next message of the user, or delete the stream"};
  }
  const std::size_t bytes = stream->thinking.size() + stream->answer.size() +
                            addition.thinking.size() + addition.text.size();
  if (bytes > service.streams().limits().text_bytes) {
    return Error{ErrorCode::kTooLong, "the answer would have " + bytes::byte_count(bytes) +
                                          ", at most " +
                                          bytes::byte_count(service.streams().limits().text_bytes) +
                                          " are judged in a stream; nothing was added"};
  }
  // Whatever goes wrong in between: what the model has read and what the caller has sent differ.
  stream->ended = true;
  auto tokens = judge(*stream, addition);
  if (!tokens.ok()) {
    return closed(std::move(tokens).error());
  }
  stream->ended = addition.finish;
  stream->turn_ended = addition.end_turn;
  const Verdict response = stream->session.response();
  OrderedJson answer = {{"id", request.parameter}, {"object", "stream.tokens"}};
  answer["tokens"] = OrderedJson::array();
  for (const JudgedToken& token : *tokens) {
    OrderedJson entry;
    formats::add_token(service.guard(), token, token_text(*stream, token), entry);
    // What is Safe has no category: most tokens stay small.
    entry["categories"] = token.verdict.risk == Risk::kSafe
                              ? OrderedJson(nullptr)
                              : formats::categories_json(service.guard(), Target::kResponse,
                                                         token.verdict.category_probabilities);
    entry["flagged"] = response.flagged && response.flagged->token == token.index;
    answer["tokens"].push_back(std::move(entry));
  }
  answer["response"] = service.verdict_json(response);
  answer["held_bytes"] = stream->session.held_bytes();
  answer["held_characters"] = held_characters(*stream);
  answer["finished"] = addition.finish;
  if (addition.end_turn) service.metrics().verdict(response);
  return Response{.body = formats::to_line(answer), .decision = response.decision};
}

Result<Response> next_turn(Service& service, const Request& request, const JsonField& body) {
  const JsonField field = body["messages"];
  QG_TRY(Conversation messages, parse_messages(field));
  if (messages.size() != 1 || messages.front().role != Role::kUser) {
    return field.invalid("expected the user's next message, and no other");
  }
  QG_TRY(StreamStore::Lease stream, service.streams().take(request.parameter, request.client));
  if (!stream->turn_ended) {
    return Error{ErrorCode::kInvalidState,
                 "the answer is not complete: append with end_turn before the next turn"};
  }
  stream->ended = true;  // unless all goes well
  Status begun = stream->session.next_turn(std::move(messages.front()));
  if (!begun.ok()) return closed(std::move(begun).error());
  stream->begin_turn();
  const Verdict prompt = stream->session.prompt();
  service.metrics().verdict(prompt);
  const OrderedJson answer = {{"id", request.parameter},
                              {"object", "stream.turn"},
                              {"prompt", service.verdict_json(prompt)}};
  return Response{.body = formats::to_line(answer), .decision = prompt.decision};
}

}  // namespace

Result<Response> open_stream(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  return open(service, request.client, JsonField(parsed));
}

Result<Response> append_to_stream(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  return append(service, request, JsonField(parsed));
}

Result<Response> next_turn_of_stream(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  return next_turn(service, request, JsonField(parsed));
}

Result<Response> close_stream(Service& service, const Request& request) {
  QG_CHECK_OK(service.streams().remove(request.parameter, request.client));
  return Response{.body = formats::to_line(
                      {{"id", request.parameter}, {"object", "stream"}, {"deleted", true}})};
}

Result<Response> stream_message(Service& service, const Request& request) {
  QG_TRY(const nlohmann::json parsed, parse_body(request.body));
  const JsonField body(parsed);
  if (!body["delete"].missing()) {
    QG_TRY(const bool wanted, body["delete"].boolean_or(false));
    if (!wanted || body->size() != 1)
      return body["delete"].invalid("expected true, and nothing else");
    if (request.parameter.empty()) return no_stream_yet();
    return close_stream(service, request);
  }
  if (request.parameter.empty()) {
    return body["messages"].missing() ? no_stream_yet() : open(service, request.client, body);
  }
  if (!body["messages"].missing()) return next_turn(service, request, body);
  return append(service, request, body);
}

}  // namespace qwen3guard::server
