#include "qwen3guard/guard.h"

#include "base/try.h"
#include "engine/gen_moderator.h"
#include "engine/loaded.h"
#include "engine/session_state.h"

namespace qwen3guard {

using engine::SessionState;

Guard::Guard(std::shared_ptr<const engine::Loaded> loaded) : loaded_(std::move(loaded)) {}

Result<Guard> Guard::load(const std::filesystem::path& directory, const GuardOptions& options) {
  QG_TRY(auto loaded, engine::Loaded::load(directory, options));
  return Guard(std::move(loaded));
}

Mode Guard::mode() const { return loaded_->stream_heads() != nullptr ? Mode::kStream : Mode::kGen; }

std::size_t Guard::max_positions() const { return loaded_->model().config().max_positions; }

std::string Guard::category_label(Target target, Category category) const {
  const auto& guard = loaded_->model().config().guard;
  if (guard) {
    const auto& names =
        target == Target::kPrompt ? guard->query_category_names : guard->response_category_names;
    const auto index = static_cast<std::size_t>(category);
    if (index < names.size()) return names[index];
  }
  return std::string(category_name(category));
}

Result<Verdict> Guard::moderate(const Conversation& conversation, const Policy& policy) const {
  if (conversation.empty()) {
    return Error{ErrorCode::kInvalidConversation,
                 "the conversation has no messages; expected at least one"};
  }
  const Message& last = conversation.back();
  if (last.role == Role::kSystem) {
    return Error{ErrorCode::kInvalidConversation,
                 "the last message is the system's; expected a user's (judged as a prompt) or an "
                 "assistant's (judged as a response)"};
  }
  if (mode() == Mode::kGen) return engine::moderate_gen(*loaded_, conversation, policy);
  if (last.role == Role::kUser) {
    QG_TRY(const auto state, SessionState::open(loaded_, conversation, policy));
    return state->prompt();
  }
  Conversation before(conversation.begin(), conversation.end() - 1);
  QG_TRY(const auto state, SessionState::open(loaded_, std::move(before), policy));
  if (last.reasoning_content) {
    QG_TRY(const auto thinking, state->append_thinking(*last.reasoning_content));
  }
  QG_TRY(const auto tokens, state->append(last.content));
  QG_TRY(const auto closing, state->finish());
  return state->response();
}

Result<Session> Guard::open(const Conversation& conversation, const Policy& policy) const {
  if (conversation.empty() || conversation.back().role != Role::kUser) {
    return Error{ErrorCode::kInvalidConversation,
                 "a session opens with a conversation whose last message is the user's"};
  }
  QG_TRY(auto state, SessionState::open(loaded_, conversation, policy));
  return Session(std::move(state));
}

Session::Session(std::unique_ptr<SessionState> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

const Verdict& Session::prompt() const { return state_->prompt(); }
Result<std::vector<JudgedToken>> Session::append(std::string_view text) {
  return state_->append(text);
}
Result<std::vector<JudgedToken>> Session::append_thinking(std::string_view text) {
  return state_->append_thinking(text);
}
Result<std::vector<JudgedToken>> Session::append_ids(std::span<const std::int32_t> ids) {
  return state_->append_ids(ids);
}
Result<std::vector<JudgedToken>> Session::finish() { return state_->finish(); }
Verdict Session::response() const { return state_->response(); }
std::span<const JudgedToken> Session::tokens() const { return state_->tokens(); }
std::size_t Session::held_bytes() const { return state_->held_bytes(); }
Status Session::roll_back(std::size_t index) { return state_->roll_back(index); }
Status Session::truncate(std::size_t bytes) { return state_->truncate(bytes); }
Status Session::next_turn(Message message) { return state_->next_turn(std::move(message)); }

}  // namespace qwen3guard
