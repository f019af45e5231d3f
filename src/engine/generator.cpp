#include "qwen3guard/generator.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"
#include "engine/generation_state.h"
#include "engine/loaded.h"

namespace qwen3guard {

using engine::GenerationState;

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kStopString:
      return "stop_string";
  }
  return "";
}

Generation::Generation(std::unique_ptr<GenerationState> state) : state_(std::move(state)) {}
Generation::Generation(Generation&&) noexcept = default;
Generation& Generation::operator=(Generation&&) noexcept = default;
Generation::~Generation() = default;

bool Generation::finished() const { return state_->finished(); }
Result<GeneratedToken> Generation::next() { return state_->next(); }
Status Generation::truncate(std::size_t count) { return state_->truncate(count); }
Status Generation::insert(std::string_view text) { return state_->insert(text); }
void Generation::reseed(std::uint64_t seed) { state_->reseed(seed); }
const std::vector<GeneratedToken>& Generation::tokens() const { return state_->tokens(); }
const std::string& Generation::text() const { return state_->text(); }
FinishReason Generation::finish() const { return state_->finish(); }
std::size_t Generation::prompt_tokens() const { return state_->prompt_tokens(); }

Generator::Generator(std::shared_ptr<const engine::Loaded> loaded, std::size_t batch)
    : loaded_(std::move(loaded)), batch_(batch) {}

Result<Generator> Generator::load(const std::filesystem::path& path,
                                  const GeneratorOptions& options) {
  if (options.batch == 0)
    return Error{ErrorCode::kInvalidArgument, "batch: expected 1 or more, found 0"};
  GuardOptions loading;
  loading.threads = options.threads;
  loading.weights = options.weights;
  loading.prefix_cache_bytes = options.prefix_cache_bytes;
  loading.gen_method = GenMethod::kGreedy;  // it writes text
  loading.queue.conversations = std::max(loading.queue.conversations, options.batch);
  QG_TRY(auto loaded, engine::Loaded::load(path, loading));
  if (loaded->stream_heads() != nullptr) {
    return Error{ErrorCode::kUnsupported,
                 bytes::quote_path(path) +
                     ": expected a causal LM (Qwen3ForCausalLM), found a Stream guard "
                     "(Qwen3ForGuardModel), which has no LM head and writes no text"};
  }
  return Generator(std::move(loaded), options.batch);
}

std::size_t Generator::max_positions() const { return loaded_->model().config().max_positions; }

Result<Generation> Generator::open(const Conversation& conversation,
                                   const GenerateOptions& options) const {
  QG_TRY(auto state, GenerationState::open(loaded_, conversation, options));
  return Generation(std::move(state));
}

Result<Generated> Generator::generate(const Conversation& conversation,
                                      const GenerateOptions& options,
                                      const OnToken& on_token) const {
  QG_TRY(const auto state, GenerationState::open(loaded_, conversation, options));
  while (!state->finished()) {
    QG_TRY(const GeneratedToken token, state->next());
    if (on_token) on_token(token);
  }
  return std::move(*state).take();
}

std::vector<Result<Generated>> Generator::generate(
    std::span<const GenerateRequest> requests) const {
  struct Active {
    std::size_t request;
    std::unique_ptr<GenerationState> state;
  };
  std::vector<std::optional<Result<Generated>>> answers(requests.size());
  std::vector<Active> active;
  for (std::size_t next = 0; next < requests.size() || !active.empty();) {
    for (; next < requests.size() && active.size() < batch_; ++next) {
      auto state =
          GenerationState::open(loaded_, requests[next].conversation, requests[next].options);
      if (state.ok()) {
        active.push_back({next, std::move(state).value()});
      } else {
        answers[next] = std::move(state).error();
      }
    }
    std::vector<GenerationState*> states;
    for (const Active& a : active) states.push_back(a.state.get());
    auto tokens = GenerationState::next(states);
    for (std::size_t i = 0; i < active.size(); ++i) {
      if (!tokens[i].ok()) {
        answers[active[i].request] = std::move(tokens[i]).error();
      } else if (states[i]->finished()) {
        answers[active[i].request] = std::move(*states[i]).take();
      }
    }
    std::erase_if(active, [&](const Active& a) { return answers[a.request].has_value(); });
  }
  std::vector<Result<Generated>> results;
  for (auto& answer : answers) results.push_back(std::move(*answer));
  return results;
}

std::vector<Result<GeneratedToken>> Generator::next(
    std::span<Generation* const> generations) const {
  std::vector<GenerationState*> states;
  for (Generation* generation : generations) states.push_back(generation->state_.get());
  return GenerationState::next(states);
}

}  // namespace qwen3guard
