#include <cmath>

#include "support.h"
#include "training/losses.h"
#include "training/network.h"
#include "training/optimizer.h"

namespace qwen3guard::training {
namespace {

class LossTest : public testing::Test {
 protected:
  Batch batch(const std::vector<Example>& examples, const LossOptions& options) const {
    std::vector<View> views;
    for (const auto& e : examples) views.push_back(view_of(e));
    return make_batch(views, 0, options);
  }
  double norm_of(const Network& net, const std::string& name) const {
    const Piece& piece = net.layout().find(name);
    double sum = 0;
    auto& gradients = const_cast<Network&>(net).gradients();
    for (std::size_t i = 0; i < piece.size(); ++i)
      sum += std::abs(static_cast<double>(gradients[piece.offset + i]));
    return sum;
  }
  std::unique_ptr<Network> backward(const std::vector<Example>& examples,
                                    const LossOptions& options) const {
    const Layout layout = make_layout(tiny_recipe().model, tokenizer_->vocabulary_size());
    auto net = std::make_unique<Network>(layout, initial_weights(layout, 1), Precision::kFloat32);
    const Batch b = batch(examples, options);
    batch_loss(*net, net->hidden(batch_ids(b), {}, 0), b, options, {}, 0).backward();
    return net;
  }
  std::shared_ptr<const tokens::Tokenizer> tokenizer_ = tiny_tokenizer();
};

TEST_F(LossTest, EachTargetTrainsItsOwnHeads) {
  const auto net = backward(
      {make_example(*tokenizer_, {{Role::kUser, "x"}}, Risk::kUnsafe, Category::kPii)}, {});
  EXPECT_GT(norm_of(*net, "query.risk"), 0);
  EXPECT_GT(norm_of(*net, "query.category"), 0);
  EXPECT_EQ(norm_of(*net, "response.risk"), 0);
  const auto other =
      backward({make_example(*tokenizer_, {{Role::kUser, "x"}, {Role::kAssistant, "y"}},
                             Risk::kUnsafe, Category::kPii)},
               {});
  EXPECT_EQ(norm_of(*other, "query.risk"), 0);
  EXPECT_GT(norm_of(*other, "response.category"), 0);
}

TEST_F(LossTest, NoCategoryLossWhenSafeOrUnknown) {
  for (const auto& [label, category] : std::vector<std::pair<Risk, std::optional<Category>>>{
           {Risk::kSafe, Category::kPii}, {Risk::kUnsafe, std::nullopt}}) {
    const auto net = backward(
        {make_example(*tokenizer_, {{Role::kUser, "x"}}, label, category),
         make_example(*tokenizer_, {{Role::kUser, "x"}, {Role::kAssistant, "y"}}, label, category)},
        {});
    EXPECT_EQ(norm_of(*net, "query.category"), 0);
    EXPECT_EQ(norm_of(*net, "response.category"), 0);
    EXPECT_GT(norm_of(*net, "query.risk"), 0);
  }
}

TEST_F(LossTest, FitsOneBatch) {
  const ExampleSet set = tiny_examples(*tokenizer_, 24);
  const Layout layout = make_layout(tiny_recipe().model, tokenizer_->vocabulary_size());
  Network net(layout, initial_weights(layout, 1), Precision::kFloat32);
  OptimizerState state = OptimizerState::start(net.weights());
  LossOptions options;
  options.label_smoothing = 0;
  OptimizerOptions o;
  o.learning_rate = 1e-2;
  o.steps = 150;
  o.warmup_steps = 5;
  const Batch b = batch(set.train, options);
  double first = 0, last = 0;
  for (std::size_t step = 0; step < o.steps; ++step) {
    const Tensor loss = batch_loss(net, net.hidden(batch_ids(b), {}, 0), b, options, {}, 0);
    last = loss.item<double>();
    if (step == 0) first = last;
    loss.backward();
    EXPECT_TRUE(
        std::isfinite(optimizer_step(layout, o, step, net.weights(), net.gradients(), state)));
  }
  EXPECT_GT(first, 0.9);
  // A response's first tokens cannot know yet, so its share of the loss stays.
  EXPECT_LT(last, 0.35 * first);
}

TEST_F(LossTest, PooledLossReadsTheBestPair) {
  LossOptions options;
  options.pooled = 1.0;
  options.category_weight = 0;
  options.label_smoothing = 0;
  const Layout layout = make_layout(tiny_recipe().model, tokenizer_->vocabulary_size());
  const Network net(layout, initial_weights(layout, 4), Precision::kFloat32);
  const std::vector<Example> examples = {
      make_example(*tokenizer_, {{Role::kUser, "q"}, {Role::kAssistant, "abc"}}, Risk::kUnsafe),
      make_example(*tokenizer_, {{Role::kUser, "q"}, {Role::kAssistant, "de"}}, Risk::kSafe)};
  const Batch b = batch(examples, options);
  const at::NoGradGuard no_gradient;
  const Tensor hidden = net.hidden(batch_ids(b), {}, 0);
  const double loss = batch_loss(net, hidden, b, options, {}, 0).item<double>();
  double expected = 0;
  for (std::size_t r = 0; r < 2; ++r) {
    const auto& s = examples[r].sequence;
    const auto n = static_cast<std::int64_t>(s.ids.size() - s.first_judged);
    const auto at_row = static_cast<std::int64_t>(r * b.length + s.first_judged);
    const Tensor p =
        1.0 -
        at::softmax(net.heads(false, hidden.narrow(0, at_row, n), {}, 0).risk, 1).select(1, 0);
    double best = 0;
    for (std::int64_t i = 1; i < n; ++i)
      best = std::max(best, std::min(p[i].item<double>(), p[i - 1].item<double>()));
    expected -= std::log(r == 0 ? best : 1 - best) / 2;
  }
  EXPECT_NEAR(loss, expected, 1e-5);
}

// What the network says of a prompt after it has learned nothing but that.
std::vector<float> learned(const Batch& b, const LossOptions& options, std::size_t vocabulary,
                           const Network* start = nullptr) {
  const Layout layout = make_layout(tiny_recipe().model, vocabulary);
  Network net(layout, initial_weights(layout, 1), Precision::kFloat32);
  OptimizerState state = OptimizerState::start(net.weights());
  OptimizerOptions o;
  o.learning_rate = 1e-2;
  o.steps = 150;
  o.warmup_steps = 5;
  o.weight_decay = 0;
  for (std::size_t step = 0; step < o.steps; ++step) {
    batch_loss(net, net.hidden(batch_ids(b), {}, 0), b, options, {}, 0, start).backward();
    optimizer_step(net.layout(), o, step, net.weights(), net.gradients(), state);
  }
  const Tensor last = net.hidden(batch_ids(b), {}, 0).narrow(0, b.queries[0].position, 1);
  const Tensor p = at::softmax(net.heads(true, last, {}, 0).risk, 1);
  return {p.data_ptr<float>(), p.data_ptr<float>() + kRiskCount};
}

TEST_F(LossTest, AnUncertainLabelIsMetByAnUncertainVerdict) {
  // The loss to a target of q not-Safe is least where the network says q.
  Example e = make_example(*tokenizer_, {{Role::kUser, "x"}}, Risk::kUnsafe);
  e.teacher = 0.0f;
  LossOptions options;
  options.teacher = 0.7;
  options.label_smoothing = 0;
  const auto p = learned(batch({e}, options), options, tokenizer_->vocabulary_size());
  EXPECT_NEAR(p[0], 0.7, 0.02);
  EXPECT_NEAR(p[1], 0.3, 0.02);
}

TEST_F(LossTest, DoubtIsControversialWithinTheMargin) {
  Example e = make_example(*tokenizer_, {{Role::kUser, "x"}}, Risk::kUnsafe);
  LossOptions options;
  options.teacher = 1.0;
  options.label_smoothing = 0;
  options.controversial_margin = 0.6;
  for (const float not_safe : {0.02f, 0.35f, 0.5f, 0.9f}) {
    e.teacher = not_safe;
    const auto p = learned(batch({e}, options), options, tokenizer_->vocabulary_size());
    // The odds of Unsafe to Safe are those of the target; half their logarithm against the margin
    // decides whether Controversial is on top.
    EXPECT_NEAR(p[1] / (p[0] + p[1]), not_safe, 0.03);
    const double half = std::log(not_safe / (1.0 - not_safe)) / 2;
    const double q = std::exp(0.6) / (std::exp(0.6) + std::exp(half) + std::exp(-half));
    EXPECT_NEAR(p[2], q, 0.03) << not_safe;
    EXPECT_EQ(p[2] > std::max(p[0], p[1]), std::abs(half) < 0.6) << not_safe;
  }
}

TEST_F(LossTest, KeepTeachesWhatTheStartBelieved) {
  Example e = make_example(*tokenizer_, {{Role::kUser, "x"}}, Risk::kUnsafe);
  LossOptions options;
  options.label_smoothing = 0;
  const std::size_t vocabulary = tokenizer_->vocabulary_size();
  const Layout layout = make_layout(tiny_recipe().model, vocabulary);
  auto weights = initial_weights(layout, 5);
  for (float& w : weights) w *= 3;  // beliefs away from a half
  const Network start(layout, weights, Precision::kFloat32);
  const Batch b = batch({e}, options);
  const Tensor last = start.hidden(batch_ids(b), {}, 0).narrow(0, b.queries[0].position, 1);
  const Tensor logits = start.heads(true, last, {}, 0).risk;
  const double belief =
      1.0 / (1.0 + std::exp(logits[0][0].item<double>() - logits[0][1].item<double>()));
  EXPECT_GT(std::abs(belief - 0.5), 0.05) << "too like an undecided network to tell anything";
  for (const double keep : {0.25, 1.0}) {
    options.keep = keep;
    const auto p = learned(b, options, vocabulary, &start);
    EXPECT_NEAR(1.0 - p[0], keep * belief + (1.0 - keep), 0.02) << keep;  // the label says Unsafe
  }
}

}  // namespace
}  // namespace qwen3guard::training
