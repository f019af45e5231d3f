#include "engine/session_state.h"

#include <algorithm>

#include "base/check.h"
#include "base/try.h"

namespace qwen3guard::engine {
namespace {

tokens::RenderedText cut(const tokens::RenderedText& rendered, std::size_t size) {
  tokens::RenderedText result{rendered.text.substr(0, size), {}};
  for (const tokens::ByteSpan& span : rendered.control) {
    if (span.end <= size) result.control.push_back(span);
  }
  return result;
}

// Code points that start in text[begin, end).
std::size_t count_characters(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t count = 0;
  for (std::size_t i = begin; i < end; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0u) != 0x80u) ++count;
  }
  return count;
}

Error invalid_state(const char* what) { return {ErrorCode::kInvalidState, what}; }

}  // namespace

SessionState::SessionState(std::shared_ptr<const Loaded> loaded, Conversation conversation,
                           const Policy& policy)
    : loaded_(loaded),
      conversation_(std::move(conversation)),
      policy_(policy),
      reader_(std::move(loaded)),
      judged_(policy) {}

Result<std::unique_ptr<SessionState>> SessionState::open(std::shared_ptr<const Loaded> loaded,
                                                         Conversation conversation,
                                                         const Policy& policy) {
  if (loaded->stream_heads() == nullptr) {
    return Error{
        ErrorCode::kUnsupported,
        "token-by-token judging needs a Stream model; this checkpoint is a Gen model: judge "
        "whole conversations with it"};
  }
  std::unique_ptr<SessionState> state(
      new SessionState(std::move(loaded), std::move(conversation), policy));
  QG_CHECK_OK(state->read_conversation());
  return state;
}

// Brings the reader to the last user turn's <|im_end|> and judges the prompt there.
Status SessionState::read_conversation() {
  prompt_ = {};
  if (conversation_.empty() || conversation_.back().role != Role::kUser) return {};
  QG_TRY(const tokens::RenderedConversation rendered, tokens::render_chatml(conversation_, {}));
  QG_TRY(const tokens::Encoding encoding, loaded_->tokenizer()->encode(rendered));
  std::size_t size = encoding.ids.size();
  while (size > 0 && encoding.ids[size - 1] != loaded_->turn_end()) --size;
  QG_CHECK(size > 0);  // the template closed the user's turn

  const auto ids = std::span(encoding.ids).first(size);
  if (reader_.slid()) reader_ = Reader(loaded_);
  reader_.keep_front(0);
  const auto held = reader_.ids();
  const std::size_t common = static_cast<std::size_t>(
      std::mismatch(held.begin(), held.end(), ids.begin(), ids.end()).first - held.begin());
  QG_CHECK_OK(reader_.truncate(std::min(common, size - 1)));
  if (reader_.size() == 0) reader_.take_prefix(ids);
  QG_TRY(const std::vector<float> states, reader_.read(ids.subspan(reader_.size()), 1));
  reader_.share_prefix();
  QG_TRY(const heads::HeadLogits logits, loaded_->stream_heads()->query(states));

  const TokenVerdict token = judge(logits, Target::kPrompt);
  const TokenLabel label = policy_.label(token, Target::kPrompt);
  prompt_.target = Target::kPrompt;
  prompt_.risk = label.action == Decision::kAllow ? token.risk : label.risk;
  prompt_.probabilities = token.probabilities;
  prompt_.category_probabilities = token.category_probabilities;
  if (prompt_.risk != Risk::kSafe) {
    const auto& p = token.category_probabilities;
    prompt_.category = static_cast<Category>(std::max_element(p.begin(), p.end()) - p.begin());
  }
  prompt_.decision = label.action;
  prompt_.tokens = reader_.size();
  return {};
}

// The rendered conversation up to where the thinking or the answer begins.
Result<tokens::RenderedText> SessionState::opening(Stage stage) const {
  Conversation conversation = conversation_;
  conversation.push_back({Role::kAssistant, "", std::nullopt});
  if (thinking_.begun) conversation.back().reasoning_content = thinking_.source;
  QG_TRY(const tokens::RenderedConversation rendered, tokens::render_chatml(conversation, {}));
  return cut(rendered, stage == Stage::kAnswer ? rendered.last_content.begin
                                               : rendered.turns.back().begin +
                                                     tokens::chatml_thinking_opening().text.size());
}

Result<SessionState::Tokens> SessionState::begin(Stage stage) {
  QG_TRY(tokens::RenderedText prefix, opening(stage));
  Part& part = stage == Stage::kThinking ? thinking_ : answer_;
  part.begun = true;
  part.rendered = part.end = rendered_end_ = prefix.text.size();
  QG_TRY(stream_, tokens::TextStream::open(loaded_->tokenizer(), std::move(prefix)));
  emitted_ = 0;
  const bool first = stage_ == Stage::kIdle;
  stage_ = stage;
  QG_TRY(const tokens::Encoding encoding, stream_->append(""));
  QG_TRY(Tokens tokens, take(encoding));
  if (first) reader_.keep_front(std::min(emitted_, reader_.size()));
  return tokens;
}

JudgedToken SessionState::describe(const tokens::ByteSpan& span, tokens::TokenId id) {
  JudgedToken token;
  token.id = id;
  token.thinking = thinking_.overlaps(span);
  Part& part = token.thinking ? thinking_ : answer_;
  const auto source = [&](std::size_t byte) {
    return std::clamp(byte, part.rendered, part.end) - part.rendered + part.dropped;
  };
  token.byte_begin = source(span.begin);
  token.byte_end = source(span.end);
  if (token.byte_begin < part.counted_bytes) part.counted_bytes = part.counted_characters = 0;
  part.counted_characters += count_characters(part.source, part.counted_bytes, token.byte_begin);
  part.counted_bytes = token.byte_begin;
  token.character = part.counted_characters;
  return token;
}

Status SessionState::cut_back(std::size_t ids) {
  const auto kept =
      std::lower_bound(positions_.begin(), positions_.end(), ids) - positions_.begin();
  positions_.resize(static_cast<std::size_t>(kept));
  judged_.truncate(static_cast<std::size_t>(kept));
  return reader_.truncate(ids);
}

// Reads the ids that the reader does not hold yet and judges those that stand for the caller's
// text, or close the answer. Template tokens in between are read, not judged.
Result<SessionState::Tokens> SessionState::take(const tokens::Encoding& encoding) {
  std::vector<tokens::TokenId> fresh;
  std::vector<tokens::ByteSpan> spans;
  for (std::size_t i = 0; i < encoding.ids.size(); ++i, ++emitted_) {
    if (fresh.empty() && emitted_ < reader_.size()) {
      if (reader_.ids()[emitted_] == encoding.ids[i]) continue;
      QG_CHECK_OK(cut_back(emitted_));
    }
    fresh.push_back(encoding.ids[i]);
    spans.push_back(encoding.offsets[i]);
  }
  if (fresh.empty()) return Tokens{};

  const std::size_t start = reader_.size();
  QG_TRY(const std::vector<float> states, reader_.read(fresh, fresh.size()));
  const std::size_t width = loaded_->model().config().hidden_size;
  const std::size_t known = judged_.tokens().size();
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    const bool closing = fresh[i] == loaded_->turn_end() && spans[i].begin >= rendered_end_;
    if (!closing && !thinking_.overlaps(spans[i]) && !answer_.overlaps(spans[i])) continue;
    QG_TRY(const heads::HeadLogits logits,
           loaded_->stream_heads()->response(std::span(states).subspan(i * width, width)));
    JudgedToken token = describe(spans[i], fresh[i]);
    token.verdict = judge(logits, Target::kResponse);
    judged_.push(std::move(token));
    positions_.push_back(start + i);
  }
  return Tokens(judged_.tokens().begin() + static_cast<std::ptrdiff_t>(known),
                judged_.tokens().end());
}

Result<SessionState::Tokens> SessionState::guarded(Result<Tokens> result) {
  if (!result.ok()) stage_ = Stage::kFailed;
  return result;
}

Result<SessionState::Tokens> SessionState::append_to(Stage stage, std::string_view text) {
  Tokens tokens;
  if (stage_ != stage) {
    QG_TRY(tokens, begin(stage));
  }
  Part& part = stage == Stage::kThinking ? thinking_ : answer_;
  part.source += text;
  if (part.end == part.rendered && part.held_newlines.empty()) {
    const std::size_t newlines = std::min(text.find_first_not_of('\n'), text.size());
    part.dropped += newlines;
    text.remove_prefix(newlines);
  }
  std::string visible = std::move(part.held_newlines) + std::string(text);
  part.held_newlines.clear();
  if (stage == Stage::kThinking) {
    const std::size_t kept = visible.find_last_not_of('\n') + 1;  // npos + 1 is 0
    part.held_newlines = visible.substr(kept);
    visible.resize(kept);
  }
  part.end += visible.size();
  rendered_end_ = part.end;
  QG_TRY(const tokens::Encoding encoding, stream_->append(visible));
  QG_TRY(const Tokens more, take(encoding));
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

Result<SessionState::Tokens> SessionState::append(std::string_view text) {
  if (stage_ == Stage::kFailed)
    return invalid_state("append: an earlier call failed; the answer cannot be judged");
  if (stage_ == Stage::kFinished) return invalid_state("append: the answer is finished");
  if (by_ids_) return invalid_state("append: this answer comes as token ids; text cannot follow");
  return guarded(append_to(Stage::kAnswer, text));
}

Result<SessionState::Tokens> SessionState::append_thinking(std::string_view text) {
  if (stage_ != Stage::kIdle && stage_ != Stage::kThinking) {
    return invalid_state("append_thinking: the answer has begun; thinking comes before it");
  }
  return guarded(append_to(Stage::kThinking, text));
}

Result<SessionState::Tokens> SessionState::append_ids(std::span<const tokens::TokenId> ids) {
  if (stage_ == Stage::kFailed)
    return invalid_state("append_ids: an earlier call failed; the answer cannot be judged");
  if (stage_ == Stage::kFinished) return invalid_state("append_ids: the answer is finished");
  if (stage_ != Stage::kIdle && !by_ids_) {
    return invalid_state("append_ids: this response comes as text; ids cannot follow");
  }
  std::vector<std::string> texts;
  for (const tokens::TokenId id : ids) {
    QG_TRY(std::string text, loaded_->tokenizer()->decode(std::span(&id, 1)));
    if (loaded_->tokenizer()->added_token(text) == id) {
      return Error{ErrorCode::kInvalidArgument, "append_ids: id " + std::to_string(id) +
                                                    " is the control token " + text +
                                                    "; an answer holds ordinary tokens only"};
    }
    texts.push_back(std::move(text));
  }
  Tokens tokens;
  if (stage_ == Stage::kIdle) {
    by_ids_ = true;
    auto opened = begin(Stage::kAnswer);
    if (!opened.ok()) return guarded(std::move(opened));
    // The opening's own tail can no longer merge with anything.
    auto rest = stream_->provisional();
    if (!rest.ok()) return guarded(std::move(rest).error());
    auto taken = take(*rest);
    if (!taken.ok()) return guarded(std::move(taken));
    reader_.keep_front(reader_.size());
  }
  tokens::Encoding encoding;
  encoding.ids.assign(ids.begin(), ids.end());
  for (const std::string& text : texts) {
    encoding.offsets.push_back({answer_.end, answer_.end + text.size()});
    answer_.source += text;
    answer_.end += text.size();
  }
  rendered_end_ = answer_.end;
  return guarded(take(encoding));
}

Result<SessionState::Tokens> SessionState::finish_text() {
  Tokens tokens;
  if (stage_ != Stage::kAnswer) {
    QG_TRY(tokens, begin(Stage::kAnswer));
  }
  QG_TRY(tokens::Encoding encoding, stream_->finish(tokens::chatml_turn_closing()));
  // Nothing after <|im_end|> is part of the answer.
  while (!encoding.ids.empty() && encoding.ids.back() != loaded_->turn_end()) {
    encoding.ids.pop_back();
    encoding.offsets.pop_back();
  }
  QG_TRY(const Tokens more, take(encoding));
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

Result<SessionState::Tokens> SessionState::finish() {
  if (stage_ == Stage::kFailed)
    return invalid_state("finish: an earlier call failed; the answer cannot be judged");
  if (stage_ == Stage::kFinished) return invalid_state("finish: the answer is finished already");
  auto tokens =
      by_ids_ ? take({{loaded_->turn_end()}, {{answer_.end, answer_.end}}}) : finish_text();
  if (!tokens.ok()) return guarded(std::move(tokens));
  stage_ = Stage::kFinished;
  return tokens;
}

Verdict SessionState::response() const {
  Verdict verdict = judged_.verdict();
  verdict.tokens = reader_.size();
  verdict.window_slid = reader_.slid();
  return verdict;
}

std::size_t SessionState::held_bytes() const {
  if (stage_ != Stage::kThinking && stage_ != Stage::kAnswer) return 0;
  const Part& part = stage_ == Stage::kThinking ? thinking_ : answer_;
  const auto all = judged_.tokens();
  const bool any = !all.empty() && all.back().thinking == (stage_ == Stage::kThinking);
  return part.source.size() - (any ? all.back().byte_end : part.dropped);
}

void SessionState::reset_response() {
  stage_ = Stage::kIdle;
  stream_.reset();
  thinking_ = {};
  answer_ = {};
}

Status SessionState::roll_back(std::size_t index) {
  if (stage_ == Stage::kFailed) return invalid_state("roll_back: an earlier call failed");
  const auto all = judged_.tokens();
  if (index > all.size()) {
    return Error{ErrorCode::kInvalidArgument,
                 "roll_back: token " + std::to_string(index) + " of " + std::to_string(all.size())};
  }
  if (index == all.size()) return {};
  const JudgedToken first = all[index];
  if (by_ids_) {
    answer_.source.resize(first.byte_begin);
    answer_.end = rendered_end_ = answer_.rendered + first.byte_begin;
    stage_ = Stage::kAnswer;
    emitted_ = positions_[index];
    return cut_back(positions_[index]);
  }
  return keep(!first.thinking, first.byte_begin);
}

Status SessionState::truncate(std::size_t bytes) {
  if (stage_ == Stage::kFailed) return invalid_state("truncate: an earlier call failed");
  if (by_ids_)
    return invalid_state("truncate: this answer came as token ids; roll_back() takes tokens back");
  const std::size_t size = answer_.source.size();
  if (bytes > size) {
    return Error{ErrorCode::kInvalidArgument, "truncate: expected at most the answer's " +
                                                  std::to_string(size) + " bytes, found " +
                                                  std::to_string(bytes)};
  }
  if (bytes == size && stage_ != Stage::kFinished) return {};
  return keep(true, bytes);
}

// Forgets all but the first `bytes` of the answer, or of the thinking and with it the answer.
// Replays what is kept: its ids are in the reader already, so nothing is computed again unless the
// cut changed how the last piece of text splits into tokens.
Status SessionState::keep(bool in_answer, std::size_t bytes) {
  const bool had_thinking = thinking_.begun;
  std::string thinking = std::move(thinking_.source);
  std::string answer = std::move(answer_.source);
  (in_answer ? answer : thinking).resize(bytes);
  reset_response();
  if (had_thinking) {
    auto replayed = guarded(append_to(Stage::kThinking, thinking));
    if (!replayed.ok()) return std::move(replayed).error();
  }
  if (in_answer) {
    auto replayed = guarded(append_to(Stage::kAnswer, answer));
    if (!replayed.ok()) return std::move(replayed).error();
  }
  return cut_back(emitted_);
}

Status SessionState::next_turn(Message message) {
  if (stage_ != Stage::kFinished) return invalid_state("next_turn: finish the answer first");
  if (message.role != Role::kUser) {
    return Error{ErrorCode::kInvalidConversation, "next_turn: expected a user's message"};
  }
  Message answer{Role::kAssistant, std::move(answer_.source), std::nullopt};
  if (thinking_.begun) answer.reasoning_content = std::move(thinking_.source);
  conversation_.push_back(std::move(answer));
  conversation_.push_back(std::move(message));
  reset_response();
  by_ids_ = false;
  judged_.truncate(0);
  positions_.clear();
  Status status = read_conversation();
  if (!status.ok()) stage_ = Stage::kFailed;
  return status;
}

}  // namespace qwen3guard::engine
