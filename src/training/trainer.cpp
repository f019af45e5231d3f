#include "training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/thread_pool.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "training/bag_start.h"
#include "training/batches.h"
#include "training/evaluate.h"
#include "training/grow.h"
#include "training/losses.h"
#include "training/network.h"
#include "training/optimizer.h"
#include "training/plot.h"
#include "training/schedule.h"
#include "training/state.h"

namespace qwen3guard::training {
namespace {

using Clock = std::chrono::steady_clock;

ValidationPoint summarise(std::size_t step, const ExampleSet& examples,
                          const std::vector<Score>& scores) {
  const auto by_source = figures_by_source(examples.validation, examples.sources, scores);
  // Sets are of one target but for a few; the majority decides where a set counts.
  std::map<std::string, std::size_t> responses;
  for (const auto& example : examples.validation) {
    if (example.target == Target::kResponse) ++responses[examples.sources[example.source]];
  }
  ValidationPoint point{step, 0, 0, 0};
  std::size_t prompts = 0, answers = 0;
  for (const auto& [name, f] : by_source) {
    if (!f.auroc) continue;
    const bool response = responses[name] * 2 > f.rows;
    (response ? point.auroc_response : point.auroc_prompt) += *f.auroc;
    ++(response ? answers : prompts);
    point.f1_strict += f.strict.f1();
  }
  point.f1_strict /= std::max<double>(1, static_cast<double>(prompts + answers));
  point.auroc_prompt /= std::max<double>(1, static_cast<double>(prompts));
  point.auroc_response /= std::max<double>(1, static_cast<double>(answers));
  return point;
}

class Trainer {
 public:
  Trainer(const Recipe& recipe, const ExampleSet& examples, const tokens::Tokenizer& tokenizer,
          const TrainOptions& options, const TrainObserver& observer, Network& network,
          const Network* start, BatchStream& stream, RunState state)
      : recipe_(recipe),
        examples_(examples),
        options_(options),
        observer_(observer),
        network_(network),
        start_(start),
        stream_(stream),
        state_(std::move(state)),
        pool_(options.threads),
        eos_(tokenizer.added_token("<|im_end|>").value_or(0)),
        pad_(tokenizer.added_token("<|endoftext|>").value_or(0)) {}

  Result<TrainReport> run() {
    const auto& o = recipe_.optimizer;
    for (std::size_t i = 1; i < o.batches_per_step; ++i)
      replicas_.push_back(std::make_unique<Network>(network_));
    const std::size_t first = state_.step;
    auto last = Clock::now();
    while (state_.step < o.steps && !out_of_patience()) {
      if ((options_.stop_after != 0 && state_.step - first >= options_.stop_after) ||
          (options_.interrupted && options_.interrupted())) {
        QG_CHECK_OK(save());
        return report(false);
      }
      QG_TRY(const double value, collect_gradients());
      const double norm = optimizer_step(network_.layout(), o, state_.step, network_.weights(),
                                         network_.gradients(), state_.optimizer);
      if (!std::isfinite(value) || !std::isfinite(norm)) {
        return Error{ErrorCode::kNonFinite,
                     "step " + std::to_string(state_.step) +
                         ": loss or gradient is not finite; lower the learning rate"};
      }
      state_.smoothed_loss = state_.step == 0 ? value : 0.98 * state_.smoothed_loss + 0.02 * value;
      ++state_.step;
      const auto now = Clock::now();
      state_.seconds += std::chrono::duration<double>(now - last).count();
      last = now;
      if (state_.step % 20 == 0) state_.losses.push_back({state_.step, state_.smoothed_loss});
      if (observer_.progress) {
        observer_.progress({state_.step, o.steps, state_.smoothed_loss,
                            learning_rate(o, state_.step - 1),
                            static_cast<double>(state_.trained_tokens) / state_.seconds});
      }
      if (state_.step % o.validate_every == 0 || state_.step == o.steps) QG_CHECK_OK(validate());
      if (state_.step % options_.save_every == 0 || state_.step == o.steps) QG_CHECK_OK(save());
    }
    QG_CHECK_OK(write_checkpoint("final"));
    return report(true);
  }

 private:
  /// One forward and backward pass a batch, each on its own replica; leaves the mean gradient with
  /// the master, summed in the same order whatever the threads. Returns the mean loss.
  Result<double> collect_gradients() {
    const auto& o = recipe_.optimizer;
    const DropoutRates rates{o.embedding_dropout, o.residual_dropout, o.head_dropout};
    const std::size_t n = o.batches_per_step;
    std::vector<Batch> batches;
    for (std::size_t i = 0; i < n; ++i) {
      QG_TRY(Batch batch, stream_.next());
      state_.trained_tokens += batch.tokens();
      batches.push_back(std::move(batch));
    }
    std::vector<double> losses(n);
    const auto work = [&](std::size_t begin, std::size_t end) {
      if (n > 1) set_threads(1);  // libtorch keeps the number by thread
      for (std::size_t i = begin; i < end; ++i) {
        const Network& network = i == 0 ? network_ : *replicas_[i - 1];
        const auto seed =
            static_cast<std::uint32_t>(options_.seed * 0x9E3779B1U + state_.step * n + i);
        const Tensor hidden = network.hidden(batch_ids(batches[i]), rates, seed);
        const Tensor loss =
            batch_loss(network, hidden, batches[i], recipe_.loss, rates, seed, start_);
        losses[i] = loss.item<double>();
        (loss / static_cast<double>(n)).backward();
      }
    };
    pool_.parallel_for(n, 1, work);
    auto& sum = network_.gradients();
    for (auto& replica : replicas_) {
      auto& own = replica->gradients();
      for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += own[k];
      std::ranges::fill(own, 0.0f);
    }
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(n);
  }

  bool out_of_patience() const {
    const auto& o = recipe_.optimizer;
    return o.patience != 0 && state_.best_step != 0 &&
           state_.step - state_.best_step >= o.patience * o.validate_every;
  }

  TrainReport report(bool finished) const {
    return {finished,       state_.step, state_.trained_tokens,
            state_.seconds, state_.best, state_.best_step};
  }

  /// On the averaged weights: they are what is exported.
  Status validate() {
    std::swap(network_.weights(), state_.optimizer.average);
    network_.rebind();
    const auto scores = score_examples(network_, examples_.validation);
    std::swap(network_.weights(), state_.optimizer.average);
    network_.rebind();
    const ValidationPoint point = summarise(state_.step, examples_, scores);
    state_.validations.push_back(point);
    const double value = (point.auroc_prompt + point.auroc_response) / 2;
    if (observer_.say) {
      char line[160];
      std::snprintf(line, sizeof line,
                    "step %zu: validation AUROC prompts %.4f, responses %.4f, F1 %.2f", point.step,
                    point.auroc_prompt, point.auroc_response, point.f1_strict);
      observer_.say(line);
    }
    if (value > state_.best) {
      state_.best = value;
      state_.best_step = state_.step;
      QG_CHECK_OK(write_checkpoint("best"));
    }
    return draw();
  }

  /// Complete: a kill right after it leaves a checkpoint that can be used.
  Status write_checkpoint(const char* name) const {
    const auto folder = options_.out / name;
    QG_CHECK_OK(export_checkpoint(network_.layout(), state_.optimizer.average, eos_, pad_, folder));
    if (options_.tokenizer.empty()) return {};
    QG_TRY(const std::string text, bytes::read_file(options_.tokenizer, std::size_t{64} << 20));
    return bytes::write_file_atomically(folder / "tokenizer.json", text);
  }

  Status draw() const {
    Curve loss{"smoothed loss", "#3366cc", {}}, prompts{"AUROC prompts", "#dc3912", {}},
        responses{"AUROC responses", "#109618", {}}, f1{"F1 strict", "#990099", {}};
    for (const auto& p : state_.losses)
      loss.points.emplace_back(static_cast<double>(p.step), p.loss);
    for (const auto& p : state_.validations) {
      const double x = static_cast<double>(p.step);
      prompts.points.emplace_back(x, p.auroc_prompt);
      responses.points.emplace_back(x, p.auroc_response);
      f1.points.emplace_back(x, p.f1_strict);
    }
    return bytes::write_file_atomically(options_.out / "curves.svg",
                                        plot_svg({{"Training loss", {loss}},
                                                  {"Validation AUROC", {prompts, responses}},
                                                  {"Validation F1", {f1}}},
                                                 "step"));
  }

  Status save() {
    state_.position = stream_.position();
    state_.weights = network_.weights();
    return save_state(state_, options_.out / "state.safetensors");
  }

  const Recipe& recipe_;
  const ExampleSet& examples_;
  const TrainOptions& options_;
  const TrainObserver& observer_;
  Network& network_;
  const Network* start_;
  BatchStream& stream_;
  RunState state_;
  base::ThreadPool pool_;
  std::vector<std::unique_ptr<Network>> replicas_;
  std::int64_t eos_, pad_;
};

struct Start {
  Layout layout;
  std::vector<float> weights;
  std::size_t tensors = 0;  // that the checkpoint had; the rest of the weights is fresh
};

Result<Start> read_start(const std::filesystem::path& directory, const CheckpointShape& shape,
                         std::uint64_t seed) {
  Start start{make_layout(shape.shape, shape.vocabulary), {}, 0};
  start.weights = initial_weights(start.layout, seed);
  QG_TRY(start.tensors, import_checkpoint(start.layout, directory, start.weights));
  return start;
}

}  // namespace

Result<TrainReport> train_guard(const Recipe& recipe, const std::string& fingerprint,
                                const ExampleSet& examples, const tokens::Tokenizer& tokenizer,
                                const TrainOptions& options, const TrainObserver& observer) {
  std::error_code failure;
  std::filesystem::create_directories(options.out, failure);
  if (failure) return Error{ErrorCode::kIo, options.out.string() + ": " + failure.message()};

  CheckpointShape shape{recipe.model, tokenizer.vocabulary_size()}, started;
  if (!options.init.empty()) {
    QG_TRY(started, read_checkpoint_shape(options.init, recipe.model));
    shape = options.grow ? CheckpointShape{recipe.model, started.vocabulary} : started;
    if (shape.vocabulary < tokenizer.vocabulary_size()) {
      return Error{ErrorCode::kInvalidArgument,
                   options.init.string() + ": has fewer tokens than the tokenizer that was given"};
    }
  }
  const Layout layout = make_layout(shape.shape, shape.vocabulary);
  QG_TRY(BatchStream stream, BatchStream::open(examples.train, examples.sources, tokenizer, recipe,
                                               options.seed, options.teacher));
  std::unique_ptr<const Network> kept;
  if (recipe.loss.keep > 0) {
    if (options.init.empty()) {
      return Error{ErrorCode::kInvalidArgument,
                   "the recipe's \"keep\" needs a checkpoint to start from: give --init"};
    }
    QG_TRY(Start start, read_start(options.init, started, options.seed));
    kept = std::make_unique<const Network>(std::move(start.layout), std::move(start.weights),
                                           options.precision);
  }
  RunState state;
  const auto saved = options.out / "state.safetensors";
  std::vector<float> weights;
  if (std::filesystem::exists(saved)) {
    QG_TRY(state, load_state(saved, fingerprint));
    if (state.weights.size() != layout.total ||
        state.position.drawn.size() != stream.position().drawn.size()) {
      return Error{ErrorCode::kCorruptFile, saved.string() + ": does not fit this model or data"};
    }
    weights = std::move(state.weights);
    stream.seek(state.position);
    if (observer.say) observer.say("going on from step " + std::to_string(state.step));
  } else {
    weights = initial_weights(layout, options.seed);
    if (!options.init.empty()) {
      QG_TRY(Start start, read_start(options.init, started, options.seed));
      if (options.grow) {
        QG_CHECK_OK(grow(start.layout, start.weights, layout, weights));
      } else {
        weights = std::move(start.weights);
      }
      if (observer.say)
        observer.say("started from " + std::to_string(start.tensors) + " tensors of " +
                     options.init.string());
    } else if (recipe.optimizer.bag_rows > 0) {
      QG_TRY(BatchStream bags, BatchStream::open(examples.train, examples.sources, tokenizer,
                                                 recipe, options.seed ^ 0xBA6, options.teacher));
      double loss = 0;
      QG_CHECK_OK(bag_start(layout, bags, recipe.optimizer.bag_rows, recipe.loss.class_weights,
                            weights,
                            [&](std::size_t, std::size_t, double smoothed) { loss = smoothed; }));
      if (observer.say) observer.say("bag start: loss " + std::to_string(loss));
    }
    state.fingerprint = fingerprint;
    state.optimizer = OptimizerState::start(weights);
  }
  Network network(layout, std::move(weights), options.precision);
  return Trainer(recipe, examples, tokenizer, options, observer, network, kept.get(), stream,
                 std::move(state))
      .run();
}

}  // namespace qwen3guard::training
