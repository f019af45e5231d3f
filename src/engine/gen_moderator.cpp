#include "engine/gen_moderator.h"

#include <algorithm>

#include "base/check.h"
#include "base/try.h"
#include "engine/sampler.h"
#include "heads/label_scorer.h"
#include "tokens/chat_template.h"
#include "verdict/gen_answer.h"

namespace qwen3guard::engine {
namespace {

using Ids = std::vector<tokens::TokenId>;

// The official evaluation reads at most this much.
constexpr std::size_t kMaxAnswerTokens = 128;

// One verdict being read: the prompt is in `state`, forced text follows it.
class GenReading {
 public:
  static Result<GenReading> open(const Loaded& loaded, const Conversation& conversation) {
    QG_TRY(const tokens::RenderedConversation rendered,
           tokens::render_gen(conversation, tokens::GenTemplate::kClean));
    QG_TRY(const tokens::Encoding encoding, loaded.tokenizer()->encode(rendered));
    GenReading reading(loaded);
    const std::span<const tokens::TokenId> ids = encoding.ids;
    PrefixCache& known = loaded.prefix_cache();
    QG_CHECK_OK(reading.read(ids.subspan(known.fetch(ids, reading.state_.cache))));
    known.offer(ids, reading.state_.cache);
    return reading;
  }

  Status read(std::span<const tokens::TokenId> ids) {
    return heads::read_tokens(loaded_->model(), reader(), ids, state_);
  }

  // The probability of each of `labels` as what follows `answer` (text forced after the prompt so
  // far). The ids of a label are those that it has in place, after `answer`.
  Result<std::vector<float>> score(const std::string& answer, std::span<const std::string> labels) {
    QG_TRY(const Ids forced, encode(answer));
    std::vector<Ids> continuations;
    for (const std::string& label : labels) {
      QG_TRY(const Ids whole, encode(answer + label));
      if (whole.size() <= forced.size() ||
          !std::equal(forced.begin(), forced.end(), whole.begin())) {
        return Error{ErrorCode::kUnsupported,
                     "with this tokenizer the label \"" + label +
                         "\" merges with the text before it; use gen method greedy"};
      }
      continuations.emplace_back(whole.begin() + static_cast<std::ptrdiff_t>(forced.size()),
                                 whole.end());
    }
    // Answers only grow: what was forced before is a prefix of what is forced now.
    QG_CHECK(forced.size() >= forced_);
    QG_CHECK_OK(read(std::span(forced).subspan(forced_)));
    forced_ = forced.size();
    return heads::score_labels(loaded_->model(), reader(), continuations, state_);
  }

  Result<std::string> write(std::size_t max_tokens) {
    std::vector<float> logits(loaded_->model().config().vocabulary_size);
    Ids written;
    while (written.size() < max_tokens) {
      loaded_->model().lm_logits(state_.hidden, workspace_, loaded_->pool(), logits);
      QG_TRY(const tokens::TokenId next, choose_token(logits, {.temperature = 0}, {}, 0));
      if (loaded_->ends_answer(next)) break;
      written.push_back(next);
      QG_CHECK_OK(read(std::span(&next, 1)));
    }
    return loaded_->tokenizer()->decode(written);
  }

  std::size_t tokens() const { return state_.cache.size(); }
  void forget(std::size_t tokens, std::vector<float> hidden) {
    state_.cache.truncate(tokens);
    state_.hidden = std::move(hidden);
  }
  const std::vector<float>& hidden() const { return state_.hidden; }

 private:
  explicit GenReading(const Loaded& loaded) : loaded_(&loaded), state_{loaded.new_cache(), {}} {}

  heads::ReadSequence reader() {
    return [this](const model::Sequence& sequence) {
      return loaded_->scheduler().read(sequence, workspace_);
    };
  }

  Result<Ids> encode(const std::string& text) const {
    QG_TRY(tokens::Encoding encoding, loaded_->tokenizer()->encode(tokens::RenderedText{text, {}}));
    return std::move(encoding.ids);
  }

  const Loaded* loaded_;
  heads::LmState state_;
  model::Workspace workspace_;
  std::size_t forced_ = 0;
};

std::size_t largest(std::span<const float> values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// Space-led, as they stand in the answer.
std::vector<std::string> category_labels(Target target) {
  std::vector<std::string> labels;
  const std::size_t count =
      target == Target::kPrompt ? kQueryCategoryCount : kResponseCategoryCount;
  for (std::size_t i = 0; i < count; ++i) {
    labels.push_back(" " + std::string(category_name(static_cast<Category>(i))));
  }
  return labels;
}

}  // namespace

Result<Verdict> moderate_gen(const Loaded& loaded, const Conversation& conversation,
                             const Policy& policy) {
  QG_TRY(GenReading reading, GenReading::open(loaded, conversation));
  const Target target =
      conversation.back().role == Role::kAssistant ? Target::kResponse : Target::kPrompt;

  std::optional<verdict::GenAnswer> written;
  std::size_t read = 0;
  if (loaded.options().gen_method == GenMethod::kGreedy) {
    const std::size_t prompt_tokens = reading.tokens();
    const std::vector<float> hidden = reading.hidden();
    QG_TRY(const std::string text, reading.write(kMaxAnswerTokens));
    QG_TRY(written, verdict::parse_gen_answer(text, target));
    read = reading.tokens();
    reading.forget(prompt_tokens, hidden);
  }

  TokenVerdict token;
  static const std::array<std::string, kRiskCount> kRiskLabels = {" Safe", " Unsafe",
                                                                  " Controversial"};
  QG_TRY(const std::vector<float> risks, reading.score("Safety:", kRiskLabels));
  std::copy(risks.begin(), risks.end(), token.probabilities.p.begin());
  token.risk = written ? written->risk : static_cast<Risk>(largest(risks));
  std::string answer = "Safety: " + std::string(risk_name(token.risk)) + "\nCategories:";
  if (token.risk == Risk::kSafe) {
    answer += " None";
  } else {
    const std::vector<std::string> labels = category_labels(target);
    QG_TRY(const std::vector<float> scores, reading.score(answer, labels));
    std::copy(scores.begin(), scores.end(), token.category_probabilities.begin());
    token.category = static_cast<Category>(largest(scores));
    if (written) {
      token.category.reset();
      if (!written->categories.empty()) token.category = written->categories.front();
    }
    answer += labels[largest(scores)];
  }

  Verdict verdict;
  verdict.target = target;
  verdict.probabilities = token.probabilities;
  verdict.category_probabilities = token.category_probabilities;
  const TokenLabel label = policy.label(token, target);
  verdict.risk = label.action == Decision::kAllow ? token.risk : label.risk;
  verdict.category = token.category;
  verdict.decision = label.action;
  if (target == Target::kResponse) {
    if (written) {
      verdict.refusal = written->refusal;
    } else {
      static const std::array<std::string, 2> kRefusalLabels = {" Yes", " No"};
      QG_TRY(const std::vector<float> refusal,
             reading.score(answer + "\nRefusal:", kRefusalLabels));
      verdict.refusal = refusal[0] > refusal[1];
    }
  }
  verdict.tokens = std::max(read, reading.tokens());
  return verdict;
}

Result<std::string> write_gen_answer(const Loaded& loaded, const Conversation& conversation,
                                     std::size_t max_tokens) {
  QG_TRY(GenReading reading, GenReading::open(loaded, conversation));
  return reading.write(max_tokens);
}

}  // namespace qwen3guard::engine
