// What a training run is: model shape, data mix, augmentation, losses, optimizer. Read from one
// JSON file (src/training/recipes), so that a run can be repeated from it and the data alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::training {

/// The shape of the network, under the names of config.json.
struct ModelShape {
  std::size_t hidden_size = 256;
  std::size_t num_hidden_layers = 4;
  std::size_t num_attention_heads = 4;
  std::size_t num_key_value_heads = 2;
  std::size_t head_dim = 64;
  std::size_t intermediate_size = 640;
  std::size_t guard_inner_size = 128;
  std::size_t max_position_embeddings = 8192;
  double rope_theta = 1e6;
  double rms_norm_eps = 1e-6;
};

/// Of the trunk's matrix multiplications; all else is float.
enum class Precision { kFloat32, kBFloat16 };

/// Which response tokens carry a label when only the whole response has one.
enum class TokenLabelRule {
  kAll,           // every token, weight 1/T
  kRamp,          // weight grows linearly to the end
  kWarmRamp,      // weight grows over the first `ramp_tokens`, then stays
  kLastTokens,    // only the last `last_tokens`
  kLastFraction,  // only the last `last_fraction` of the tokens
  kSoftRamp,  // every token; over the first `ramp_tokens` the target moves from Safe to the label
};

struct DataMix {
  std::vector<std::string> licence_classes = {"permissive", "share-alike"};
  std::vector<std::string> exclude;
  /// A row is held out for validation when SHA-256(id) mod this is 0; at most `validation_cap` a
  /// set.
  std::uint32_t held_out_modulus = 25;
  std::size_t validation_cap = 250;
  /// A set's share is proportional to rows^exponent times its factor (default 1).
  double size_exponent = 0.5;
  std::map<std::string, double> factors;
  /// Within a set: draw labels so that the rarest of those present gets at least this share (0: as
  /// is).
  double minimum_label_share = 0;
  std::size_t max_prompt_tokens = 256;
  std::size_t max_response_tokens = 256;
  /// Tokens of context kept before a response.
  std::size_t max_context_tokens = 64;
};

struct Augmentation {
  /// Share of examples whose text is lower-cased and loses its final punctuation.
  double lower = 0.25;
  /// Mean share of content tokens replaced by random ones; each example draws its own rate up to
  /// twice it.
  double replace_tokens = 0.1;
  /// Share of long prompts cut at a random place instead of at the start.
  double random_crop = 0.5;
  /// Share of single-turn rows whose text becomes a piece of it followed by pieces of other rows,
  /// judged by the teacher alone (LossOptions::teacher): words are met in more company than the
  /// sets have.
  double splice = 0;
  /// Most pieces of a spliced text; each has 2 to so many.
  std::size_t splice_pieces = 2;
  /// Share of single exchanges whose question is taken from another row, judged by the teacher
  /// alone: answers are met under more questions, and questions under more answers, than the sets
  /// have.
  double other_question = 0;
  /// Share of rows without spans into which something like the template's structure or a verdict is
  /// put; label and teacher's opinion stay those of the row without it, which is all that it may
  /// mean.
  double forge = 0;
  /// Share of prompts of `as_response_sources` shown as the answer to a neutral question: posts
  /// with labels teach the response heads, of which labelled examples are scarce.
  double as_response = 0;
  std::vector<std::string> as_response_sources;
  /// Share of Safe responses of `as_prompt_sources` of which only the question is shown, as a Safe
  /// prompt: benign instructions are scarcer than benign answers.
  double as_prompt = 0;
  std::vector<std::string> as_prompt_sources;
};

struct LossOptions {
  TokenLabelRule rule = TokenLabelRule::kAll;
  std::size_t ramp_tokens = 12;
  std::size_t last_tokens = 8;
  double last_fraction = 0.5;
  /// Share of the pooled loss: binary cross-entropy on max_i min(p(i-1), p(i)) of not-Safe, which
  /// is what the debounced verdict reads.
  double pooled = 0;
  double category_weight = 0.2;
  double label_smoothing = 0.02;
  /// Class weights: Safe, Unsafe, Controversial. Costs: twice the weight moves the log-odds that
  /// are learned by log 2, of labels and teacher's opinions alike.
  std::vector<double> class_weights = {1.0, 1.0, 0.5};
  /// A factor of the Safe weight for prompts in a language, by its code ("zh"): where strict draws
  /// its line may differ between languages whose everyday prompts differ.
  std::map<std::string, double> safe_weight_of_language;
  /// The same for responses; empty: equal.
  std::vector<double> response_class_weights;
  /// Share of the target that comes from a linear classifier of the same rows, trained without the
  /// row in question; rows without a label get it alone. 0: labels only.
  double teacher = 0;
  /// Weight of the teacher's opinion of every beginning of a prompt, read by the query head at each
  /// token of it, beside the verdict at the prompt's end: one more lesson a word, not one a row.
  double prefix = 0;
  /// Responses: the teacher's share of a token's target is its opinion of the answer up to there,
  /// not of the whole.
  bool teacher_by_token = false;
  /// Prompts whose half difference of the Unsafe and Safe logits stays within this margin are
  /// taught to be Controversial, by degrees, in place of the labels of that class: what the network
  /// itself is unsure of. Strict then finds more and loose flags less wrongly. 0: the labels alone.
  double controversial_margin = 0;
  /// Share of a prompt's target that is the opinion of the network which the run started from
  /// (learning without forgetting, arXiv 1606.09282): prompts keep their verdicts while answers are
  /// taught. Needs TrainOptions::init.
  double keep = 0;
  /// Weight of next-token prediction beside the verdicts, on all trained text.
  double language_model = 0;
};

struct OptimizerOptions {
  /// Rows for the embedding's start as a bag-of-tokens classifier (bag_start.h); 0: random.
  std::size_t bag_rows = 0;
  std::size_t steps = 1500;
  /// The schedule may be longer than a time limit allows: see TrainOptions::minutes.
  std::size_t tokens_per_step = 8192;
  /// Batches of `tokens_per_step` padded tokens whose gradients a step averages; they may run on a
  /// thread each.
  std::size_t batches_per_step = 1;
  double learning_rate = 2e-3;
  double embedding_rate_factor = 1.0;
  std::size_t warmup_steps = 100;
  bool cosine = true;  // else linear
  double final_rate_share = 0.02;
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-8;
  double weight_decay = 0.05;
  double clip_norm = 1.0;
  double average_decay = 0.995;
  double embedding_dropout = 0.1;
  double residual_dropout = 0.1;
  double head_dropout = 0.1;
  /// Validation every so many steps; training ends early after `patience` of them without a better
  /// one (0: never early).
  std::size_t validate_every = 500;
  std::size_t patience = 0;
};

struct Recipe {
  std::string name;
  std::filesystem::path categories;  // resolved against the recipe's folder
  ModelShape model;
  DataMix data;
  Augmentation augmentation;
  LossOptions loss;
  OptimizerOptions optimizer;
};

/// Errors: kInvalidJson or kInvalidArgument for an unknown key, a wrong type or a value out of
/// range: a misspelt option must not silently train something else.
Result<Recipe> read_recipe(const std::filesystem::path& path);
/// `base` resolves relative paths.
Result<Recipe> parse_recipe(const nlohmann::json& root, const std::filesystem::path& base);

}  // namespace qwen3guard::training
