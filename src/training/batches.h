// Which examples a step sees, in which form: sampling, augmentation, bucketing by length, token
// labels.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"
#include "training/examples.h"
#include "training/recipe.h"

namespace qwen3guard::training {

/// Probabilities to be learned, in class order; they sum to 1.
using RiskTarget = std::array<float, kRiskCount>;

/// Right-padded ids with the places where losses apply, all as plain arrays.
struct Batch {
  std::size_t rows = 0;
  std::size_t length = 0;
  std::vector<std::int64_t> ids;      // [rows * length]
  std::vector<std::int64_t> lengths;  // real tokens of each row

  struct Judged {
    std::int64_t position;  // in [rows * length]
    RiskTarget target;
    std::int64_t category;  // -1: no loss
    float weight;
    std::int64_t sequence;  // responses: number of the response within the batch
  };
  std::vector<Judged> queries;
  std::vector<Judged> responses;
  /// Beginnings of prompts, with the teacher's opinion of them (LossOptions::prefix); the weights
  /// of a prompt's sum to its class weight.
  std::vector<Judged> prefixes;
  /// Target for not-Safe of each response, 0 or 1 and between them with a teacher, and what the
  /// response counts; class weights are in both.
  std::vector<float> response_flagged;
  std::vector<float> response_weights;
  std::size_t tokens() const;
};

/// One example in the form in which a step or an evaluation sees it.
struct View {
  std::vector<tokens::TokenId> ids;
  std::size_t first_judged = 0;
  std::optional<std::size_t> onset;
  Target target = Target::kPrompt;
  std::optional<Risk> label;
  std::optional<Category> category;
  std::optional<float> teacher;
  std::string language;
  /// The teacher's opinion of the last message up to each token; kNoOpinion outside it. Empty where
  /// none was asked for.
  std::vector<float> prefix_teacher;
};

inline constexpr float kNoOpinion = -1.0f;

/// The example as it is.
View view_of(const Example& example);

/// Weight of each judged token of a response of `count` tokens; they sum to 1.
std::vector<float> token_weights(std::size_t count, const LossOptions& options);

/// Pads `views` to one batch. `pad` fills the right.
Batch make_batch(const std::vector<View>& views, tokens::TokenId pad, const LossOptions& options);

/// Probability that the label of a not-Safe response already holds at its judged token `index`
/// (rule soft_ramp; 1 for the others).
float label_certainty(std::size_t index, const LossOptions& options);

/// The label, mixed with the teacher's opinion of not-Safe where there is one: Controversial where
/// the label says so, else Unsafe. REQUIRES: a label or a teacher.
RiskTarget risk_target(const View& view, const LossOptions& options);

/// Lengths are padded up to 16, 24, 32, 48, 64, 96 …: a few shapes that come again and again let
/// the matrix library keep what it prepared for them, which is worth more than the padding costs.
std::size_t bucket_length(std::size_t length);

/// Batches of `budget` padded tokens, from views sorted by length. Returns ranges [begin, end).
std::vector<std::pair<std::size_t, std::size_t>> cut_by_tokens(const std::vector<View>& sorted,
                                                               std::size_t budget);

/// P(not Safe) of a conversation, in [0, 1], had its last message ended after each of `ends` bytes,
/// ascending. `trained_id`: the row of the training set that the text comes from, if it is a single
/// one; the opinion is then that of a model which has not seen it.
using Teacher =
    std::function<std::vector<float>(const Conversation&, std::span<const std::uint32_t> ends,
                                     std::optional<std::string_view> trained_id)>;

/// An endless stream of batches. Everything in it follows from the seed and the position, so a run
/// can be taken up again in the middle.
class BatchStream {
 public:
  struct Position {
    std::uint64_t pool = 0;
    std::uint64_t batch = 0;
    /// Draws so far from each group (set and label), at the start of the pool.
    std::vector<std::uint64_t> drawn;
    bool operator==(const Position&) const = default;
  };

  /// Keeps pointers to `examples` and `tokenizer`. `teacher` judges spliced texts; without one
  /// nothing is spliced. Errors: kNotFound (nothing to train on), kInvalidArgument (a factor for a
  /// set that is not there).
  static Result<BatchStream> open(const std::vector<Example>& examples,
                                  const std::vector<std::string>& sources,
                                  const tokens::Tokenizer& tokenizer, const Recipe& recipe,
                                  std::uint64_t seed, Teacher teacher = {});

  Result<Batch> next();
  /// Of the next batch.
  const Position& position() const { return position_; }
  void seek(Position position);
  /// Share of each source in what is drawn, for the log.
  std::vector<double> source_shares() const;

 private:
  struct Group {
    std::uint32_t source;
    std::vector<std::uint32_t> members;
    double weight;
    std::vector<std::uint32_t> order;
    std::uint64_t epoch = ~0ULL;
  };

  /// By the groups' weights.
  std::size_t pick_group(Random& random) const;
  std::optional<Conversation> spliced(const Example& example, Random& random) const;
  /// A response under the question of another row; none for what is no single exchange.
  std::optional<Conversation> asked_otherwise(const Example& example, Random& random) const;
  std::uint32_t draw(Random& random, std::vector<std::uint64_t>& drawn);
  Result<View> view(const Example& example, Random& random) const;
  /// The teacher's opinion of `text` up to each token of `sequence`, which may show the same
  /// content in another role.
  std::vector<float> opinions(const Conversation& text, const TokenSequence& sequence,
                              std::optional<std::string_view> trained_id) const;
  Status fill();

  const std::vector<Example>* examples_ = nullptr;
  const std::vector<std::string>* sources_ = nullptr;
  const tokens::Tokenizer* tokenizer_ = nullptr;
  Recipe recipe_;
  Teacher teacher_;
  std::uint64_t seed_ = 0;
  tokens::TokenId pad_ = 0;
  tokens::TokenId first_control_ = 0;
  std::vector<Group> groups_;
  std::vector<bool> as_response_, as_prompt_;  // by source
  Position position_;
  std::vector<std::vector<View>> pool_;
  std::vector<std::uint64_t> drawn_after_;
  bool filled_ = false;
};

}  // namespace qwen3guard::training
