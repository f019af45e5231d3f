#include "training/batches.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/check.h"
#include "base/try.h"
#include "training/augment.h"

namespace qwen3guard::training {
namespace {

/// Examples drawn and sorted by length together: large enough for tight batches.
constexpr std::size_t kPool = 6000;

/// Label shares of a set, each present label raised to at least `minimum`.
std::map<int, double> label_shares(const std::map<int, std::vector<std::uint32_t>>& by_label,
                                   double minimum) {
  double total = 0;
  std::map<int, double> shares;
  for (const auto& [label, members] : by_label) total += static_cast<double>(members.size());
  double sum = 0;
  for (const auto& [label, members] : by_label) {
    const double share = static_cast<double>(members.size()) / total;
    sum += shares[label] =
        std::max(share, std::min(minimum, 1.0 / static_cast<double>(by_label.size())));
  }
  for (auto& [label, share] : shares) share /= sum;
  return shares;
}

}  // namespace

std::size_t Batch::tokens() const {
  return static_cast<std::size_t>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
}

std::vector<float> token_weights(std::size_t count, const LossOptions& options) {
  std::vector<double> weights(count, 0.0);
  const double n = static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double from_start = static_cast<double>(i + 1);
    const std::size_t from_end = count - i;
    switch (options.rule) {
      case TokenLabelRule::kAll:
      case TokenLabelRule::kSoftRamp:
        weights[i] = 1;
        break;
      case TokenLabelRule::kRamp:
        weights[i] = from_start;
        break;
      case TokenLabelRule::kWarmRamp:
        weights[i] = std::min(1.0, from_start / static_cast<double>(options.ramp_tokens));
        break;
      case TokenLabelRule::kLastTokens:
        weights[i] = from_end <= options.last_tokens ? 1 : 0;
        break;
      case TokenLabelRule::kLastFraction:
        // The last token always counts: an empty sum would drop the example.
        weights[i] =
            from_end == 1 || static_cast<double>(from_end) <= options.last_fraction * n ? 1 : 0;
        break;
    }
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count; ++i) result[i] = static_cast<float>(weights[i] / sum);
  return result;
}

float label_certainty(std::size_t index, const LossOptions& options) {
  if (options.rule != TokenLabelRule::kSoftRamp) return 1.0f;
  return std::min(1.0f, static_cast<float>(index) / static_cast<float>(options.ramp_tokens));
}

View view_of(const Example& example) {
  return {example.sequence.ids,
          example.sequence.first_judged,
          example.sequence.onset,
          example.target,
          example.label,
          example.category,
          example.teacher,
          example.language,
          {}};
}

namespace {

/// The label, mixed with the teacher's opinion where there is one.
float not_safe_target(const View& view, const LossOptions& options) {
  if (!view.label) return *view.teacher;
  const float label = *view.label == Risk::kSafe ? 0.0f : 1.0f;
  if (!view.teacher) return label;
  const auto share = static_cast<float>(options.teacher);
  return (1.0f - share) * label + share * *view.teacher;
}

}  // namespace

RiskTarget risk_target(const View& view, const LossOptions& options) {
  const float not_safe = not_safe_target(view, options);
  const bool controversial = view.label == Risk::kControversial;
  return {1.0f - not_safe, controversial ? 0.0f : not_safe, controversial ? not_safe : 0.0f};
}

namespace {

/// A target under class weights, as costs: what minimises sum_c w_c t_c (-log p_c) is w_c t_c
/// normalised, and the sum is what the place then counts. Soft and hard targets shift alike.
struct Weighed {
  RiskTarget target;
  float weight = 0;
};

Weighed weigh(RiskTarget target, const std::vector<double>& class_weights) {
  Weighed result{target, 0};
  for (std::size_t c = 0; c < target.size(); ++c) {
    result.target[c] *= static_cast<float>(class_weights[c]);
    result.weight += result.target[c];
  }
  // Weights of zero leave nothing to learn.
  if (result.weight > 0)
    for (float& share : result.target) share /= result.weight;
  return result;
}

/// Every token of a prompt before the one where its verdict is read.
void add_prefixes(const View& view, std::int64_t first, const std::vector<double>& class_weights,
                  Batch& batch) {
  const auto& opinions = view.prefix_teacher;
  const std::size_t end = std::min(opinions.size(), view.first_judged);
  const auto count =
      std::count_if(opinions.begin(), opinions.begin() + static_cast<std::ptrdiff_t>(end),
                    [](float p) { return p != kNoOpinion; });
  for (std::size_t i = 0; i < end; ++i) {
    const float p = opinions[i];
    if (p == kNoOpinion) continue;
    const Weighed here = weigh({1.0f - p, p, 0.0f}, class_weights);
    batch.prefixes.push_back({first + static_cast<std::int64_t>(i), here.target, -1,
                              here.weight / static_cast<float>(count), 0});
  }
}

/// What is known of the answer that ends with its token `index`.
View up_to(const View& view, std::size_t index) {
  View shorter{{}, 0, {}, view.target, view.label, {}, view.teacher, {}, {}};
  const std::size_t at = view.first_judged + index;
  if (at < view.prefix_teacher.size() && view.prefix_teacher[at] != kNoOpinion)
    shorter.teacher = view.prefix_teacher[at];
  return shorter;
}

}  // namespace

Batch make_batch(const std::vector<View>& views, tokens::TokenId pad, const LossOptions& options) {
  Batch batch;
  batch.rows = views.size();
  for (const auto& view : views)
    batch.length = std::max(batch.length, bucket_length(view.ids.size()));
  batch.ids.assign(batch.rows * batch.length, pad);
  for (std::size_t r = 0; r < views.size(); ++r) {
    const View& view = views[r];
    std::copy(view.ids.begin(), view.ids.end(),
              batch.ids.begin() + static_cast<std::ptrdiff_t>(r * batch.length));
    batch.lengths.push_back(static_cast<std::int64_t>(view.ids.size()));
    if (!view.label && !view.teacher) continue;
    const bool prompt = view.target == Target::kPrompt;
    const bool safe = view.label.value_or(Risk::kSafe) == Risk::kSafe;
    const RiskTarget target = risk_target(view, options);
    const bool own = !prompt && !options.response_class_weights.empty();
    auto class_weights = own ? options.response_class_weights : options.class_weights;
    const auto factor = options.safe_weight_of_language.find(view.language);
    if (prompt && factor != options.safe_weight_of_language.end())
      class_weights[static_cast<std::size_t>(Risk::kSafe)] *= factor->second;
    const Weighed whole = weigh(target, class_weights);
    const auto at = static_cast<std::int64_t>(r * batch.length);
    const std::size_t categories = prompt ? kQueryCategoryCount : kResponseCategoryCount;
    const bool known =
        !safe && view.category && static_cast<std::size_t>(*view.category) < categories;
    const std::int64_t category = known ? static_cast<std::int64_t>(*view.category) : -1;
    if (prompt) {
      batch.queries.push_back({at + static_cast<std::int64_t>(view.first_judged), whole.target,
                               category, whole.weight, 0});
      if (options.prefix > 0) add_prefixes(view, at, class_weights, batch);
      continue;
    }
    const auto sequence = static_cast<std::int64_t>(batch.response_flagged.size());
    batch.response_flagged.push_back(1.0f - whole.target[static_cast<std::size_t>(Risk::kSafe)]);
    batch.response_weights.push_back(whole.weight);
    const std::size_t count = view.ids.size() - view.first_judged;
    LossOptions rule = options;
    // Marked spans are exact: no rule has to guess.
    if (view.onset) rule.rule = TokenLabelRule::kAll;
    const auto weights = token_weights(count, rule);
    for (std::size_t i = 0; i < count; ++i) {
      const bool before = view.onset && view.first_judged + i < *view.onset;
      const float certainty = before ? 0.0f : label_certainty(i, rule);
      RiskTarget here = options.teacher_by_token ? risk_target(up_to(view, i), options) : target;
      for (float& share : here) share *= certainty;
      here[static_cast<std::size_t>(Risk::kSafe)] += 1.0f - certainty;
      const Weighed weighed = weigh(here, class_weights);
      batch.responses.push_back({at + static_cast<std::int64_t>(view.first_judged + i),
                                 weighed.target, before ? -1 : category,
                                 weights[i] * weighed.weight, sequence});
    }
  }
  return batch;
}

std::size_t bucket_length(std::size_t length) {
  for (std::size_t bucket = 16;; bucket *= 2) {
    if (length <= bucket) return bucket;
    if (length <= bucket + bucket / 2) return bucket + bucket / 2;
  }
}

std::vector<std::pair<std::size_t, std::size_t>> cut_by_tokens(const std::vector<View>& sorted,
                                                               std::size_t budget) {
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  // From the long end: only the last batch, of the shortest rows, is then not full.
  for (std::size_t end = sorted.size(); end > 0;) {
    const std::size_t rows =
        std::max<std::size_t>(1, budget / bucket_length(sorted[end - 1].ids.size()));
    const std::size_t begin = end - std::min(rows, end);
    ranges.emplace_back(begin, end);
    end = begin;
  }
  return ranges;
}

Result<BatchStream> BatchStream::open(const std::vector<Example>& examples,
                                      const std::vector<std::string>& sources,
                                      const tokens::Tokenizer& tokenizer, const Recipe& recipe,
                                      std::uint64_t seed, Teacher teacher) {
  BatchStream stream;
  stream.teacher_ = std::move(teacher);
  stream.examples_ = &examples;
  stream.sources_ = &sources;
  stream.tokenizer_ = &tokenizer;
  stream.recipe_ = recipe;
  stream.seed_ = seed;
  const auto pad = tokenizer.added_token("<|endoftext|>");
  if (!pad) return Error{ErrorCode::kUnsupported, "the tokenizer has no <|endoftext|> to pad with"};
  stream.pad_ = *pad;
  stream.first_control_ = *pad;

  for (const auto& name : sources) {
    const auto& list = recipe.augmentation.as_response_sources;
    stream.as_response_.push_back(std::ranges::find(list, name) != list.end());
    const auto& questions = recipe.augmentation.as_prompt_sources;
    stream.as_prompt_.push_back(std::ranges::find(questions, name) != questions.end());
  }
  for (const auto& [name, factor] : recipe.data.factors) {
    if (std::ranges::find(sources, name) != sources.end()) continue;
    return Error{
        ErrorCode::kInvalidArgument,
        "the recipe's data.factors name \"" + name +
            "\", which is no set to train on here; check the name, or give its folder with "
            "--data"};
  }
  std::map<std::uint32_t, std::map<int, std::vector<std::uint32_t>>> by_source;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const int label = examples[i].label ? static_cast<int>(*examples[i].label) : -1;
    by_source[examples[i].source][label].push_back(static_cast<std::uint32_t>(i));
  }
  double sum = 0;
  for (auto& [source, by_label] : by_source) {
    double rows = 0;
    for (const auto& [label, members] : by_label) rows += static_cast<double>(members.size());
    const auto factor = recipe.data.factors.find(sources[source]);
    const double weight = std::pow(rows, recipe.data.size_exponent) *
                          (factor == recipe.data.factors.end() ? 1.0 : factor->second);
    const auto shares = label_shares(by_label, recipe.data.minimum_label_share);
    for (auto& [label, members] : by_label) {
      const double group_weight = weight * shares.at(label);
      if (group_weight <= 0) continue;
      sum += group_weight;
      stream.groups_.push_back({source, std::move(members), group_weight, {}});
    }
  }
  if (stream.groups_.empty())
    return Error{ErrorCode::kNotFound, "no labelled rows to train on after filtering"};
  for (auto& group : stream.groups_) group.weight /= sum;
  stream.position_.drawn.assign(stream.groups_.size(), 0);
  return stream;
}

std::vector<double> BatchStream::source_shares() const {
  std::vector<double> shares(sources_->size(), 0.0);
  for (const auto& group : groups_) shares[group.source] += group.weight;
  return shares;
}

void BatchStream::seek(Position position) {
  QG_CHECK(position.drawn.size() == groups_.size());
  position_ = std::move(position);
  filled_ = false;
}

std::size_t BatchStream::pick_group(Random& random) const {
  double left = random.uniform();
  std::size_t g = 0;
  while (g + 1 < groups_.size() && left >= groups_[g].weight) left -= groups_[g++].weight;
  return g;
}

std::uint32_t BatchStream::draw(Random& random, std::vector<std::uint64_t>& drawn) {
  const std::size_t g = pick_group(random);
  Group& group = groups_[g];
  // Each pass over a group is a new permutation, so every example comes up equally often.
  const std::uint64_t epoch = drawn[g] / group.members.size();
  if (group.epoch != epoch) {
    group.order = group.members;
    Random permutation(seed_ ^ 0x5bd1e995, g * 1000003 + epoch);
    permutation.shuffle(group.order);
    group.epoch = epoch;
  }
  return group.order[drawn[g]++ % group.members.size()];
}

std::optional<Conversation> BatchStream::spliced(const Example& example, Random& random) const {
  constexpr std::size_t kTries = 4;  // for each piece
  const auto simple = [](const Example& e) {
    return e.messages.size() == (e.target == Target::kPrompt ? 1u : 2u);
  };
  if (!simple(example)) return std::nullopt;
  const std::size_t pieces = 2 + random.below(recipe_.augmentation.splice_pieces - 1);
  std::vector<std::string_view> texts{example.messages.back().content};
  for (std::size_t i = 0; i < kTries * (pieces - 1) && texts.size() < pieces; ++i) {
    const auto& members = groups_[pick_group(random)].members;
    const Example& other = (*examples_)[members[random.below(members.size())]];
    if (other.target == example.target && simple(other))
      texts.emplace_back(other.messages.back().content);
  }
  if (texts.size() == 1) return std::nullopt;
  Conversation mixed = example.messages;
  mixed.back().content = splice(texts, random);
  return mixed;
}

std::optional<Conversation> BatchStream::asked_otherwise(const Example& example,
                                                         Random& random) const {
  if (example.target != Target::kResponse || example.messages.size() != 2) return std::nullopt;
  const auto& members = groups_[pick_group(random)].members;
  const Example& other = (*examples_)[members[random.below(members.size())]];
  if (other.messages.front().role != Role::kUser) return std::nullopt;
  return Conversation{other.messages.front(), example.messages.back()};
}

Result<View> BatchStream::view(const Example& example, Random& random) const {
  const Augmentation& augmentation = recipe_.augmentation;
  View view = view_of(example);
  // Drawn in any case, so that one option does not shift the random numbers of another.
  const bool to_lower = random.uniform() < augmentation.lower;
  const bool respond = random.uniform() < augmentation.as_response &&
                       example.target == Target::kPrompt && as_response_[example.source];
  const auto& messages = example.messages;
  const bool ask = random.uniform() < augmentation.as_prompt &&
                   example.target == Target::kResponse && example.label == Risk::kSafe &&
                   as_prompt_[example.source] && messages.size() >= 2 &&
                   messages[messages.size() - 2].role == Role::kUser;
  const bool splice = random.uniform() < augmentation.splice && teacher_ && !respond && !ask;
  const bool exchange = random.uniform() < augmentation.other_question && teacher_ && !ask;
  const bool forge = random.uniform() < augmentation.forge && example.unsafe_spans.empty();
  std::optional<Conversation> mixed;
  if (splice) mixed = spliced(example, random);
  if (exchange && !mixed) mixed = asked_otherwise(example, random);
  const bool by_token = teacher_ && (recipe_.loss.prefix > 0 || recipe_.loss.teacher_by_token);
  if (to_lower || respond || ask || mixed || forge || by_token) {
    Conversation changed = mixed     ? std::move(*mixed)
                           : respond ? as_response(messages, random)
                                     : messages;
    if (mixed) {
      view.label.reset();
      view.category.reset();
      const auto whole = static_cast<std::uint32_t>(changed.back().content.size());
      view.teacher = teacher_(changed, std::span(&whole, 1), std::nullopt).front();
    }
    if (ask) {
      changed.pop_back();
      view.target = Target::kPrompt;
    }
    if (to_lower) changed = lowered(changed);
    if (forge) changed.back().content = forge_structure(changed.back().content, random);
    // The question does not show in the spans: they count characters of the last message only.
    auto sequence = encode_conversation(
        *tokenizer_, changed, mixed ? decltype(example.unsafe_spans){} : example.unsafe_spans);
    if (!sequence.ok()) return std::move(sequence).error().with_context(example.id);
    view.ids = std::move(sequence->ids);
    view.first_judged = sequence->first_judged;
    view.onset = sequence->onset;
    if (by_token && !forge) {
      // A post shown as an answer is still judged as the post that the teacher knows.
      const bool known = !mixed && example.label.has_value();
      view.prefix_teacher =
          opinions(respond ? messages : changed, *sequence,
                   known ? std::optional<std::string_view>(example.id) : std::nullopt);
    }
    if (respond) {
      view.target = Target::kResponse;
      if (view.category == Category::kJailbreak) view.category.reset();
    }
  }
  crop(view, recipe_.data, augmentation.random_crop, &random);
  replace_tokens(view, augmentation.replace_tokens * random.uniform() * 2, first_control_, random);
  return view;
}

std::vector<float> BatchStream::opinions(const Conversation& text, const TokenSequence& sequence,
                                         std::optional<std::string_view> trained_id) const {
  const auto& ends = sequence.content_ends;
  const auto first = std::ranges::find_if(ends, [](std::uint32_t end) { return end > 0; });
  std::vector<float> result(static_cast<std::size_t>(first - ends.begin()), kNoOpinion);
  const auto judged = teacher_(text, std::span(first, ends.end()), trained_id);
  result.insert(result.end(), judged.begin(), judged.end());
  return result;
}

Status BatchStream::fill() {
  Random random(seed_, 0x706f6f6c00000000ULL + position_.pool);
  std::vector<std::uint64_t> drawn = position_.drawn;
  std::vector<std::pair<std::pair<std::size_t, std::uint64_t>, View>> views;
  views.reserve(kPool);
  for (std::size_t i = 0; i < kPool; ++i) {
    QG_TRY(View one, view((*examples_)[draw(random, drawn)], random));
    const std::size_t length = one.ids.size();
    views.emplace_back(std::pair(length, random.next()), std::move(one));
  }
  std::ranges::sort(views, {}, [](const auto& entry) { return entry.first; });
  std::vector<View> sorted;
  sorted.reserve(views.size());
  for (auto& entry : views) sorted.push_back(std::move(entry.second));
  pool_.clear();
  for (const auto& [begin, end] : cut_by_tokens(sorted, recipe_.optimizer.tokens_per_step)) {
    pool_.emplace_back(std::make_move_iterator(sorted.begin() + static_cast<std::ptrdiff_t>(begin)),
                       std::make_move_iterator(sorted.begin() + static_cast<std::ptrdiff_t>(end)));
  }
  random.shuffle(pool_);
  drawn_after_ = std::move(drawn);
  filled_ = true;
  return {};
}

Result<Batch> BatchStream::next() {
  if (!filled_) QG_CHECK_OK(fill());
  Batch batch = make_batch(pool_[position_.batch], pad_, recipe_.loss);
  if (++position_.batch == pool_.size()) {
    position_.drawn = std::move(drawn_after_);
    position_.batch = 0;
    ++position_.pool;
    filled_ = false;
  }
  return batch;
}

}  // namespace qwen3guard::training
