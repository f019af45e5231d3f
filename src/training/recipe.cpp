#include "training/recipe.h"

#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "base/try.h"
#include "bytes/json.h"

namespace qwen3guard::training {
namespace {

using nlohmann::json;

/// Reads the members of one JSON object into variables and complains about what nobody asked for.
class Section {
 public:
  Section(const json& object, std::string name) : object_(object), name_(std::move(name)) {
    if (!object_.is_object()) fail("must be an object");
  }

  template <typename T>
  Section& read(const char* key, T& value) {
    seen_.insert(key);
    const auto it = object_.is_object() ? object_.find(key) : object_.end();
    if (!object_.is_object() || it == object_.end()) return *this;
    if constexpr (std::is_same_v<T, bool>) {
      if (!it->is_boolean()) return fail(std::string(key) + " must be true or false");
    } else if constexpr (std::is_integral_v<T>) {
      if (!it->is_number_unsigned()) return fail(std::string(key) + " must be a whole number");
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!it->is_number()) return fail(std::string(key) + " must be a number");
    }
    try {
      value = it->template get<T>();
    } catch (const json::exception&) {
      return fail(std::string(key) + " has the wrong type");
    }
    return *this;
  }

  Section& share(const char* key, double& value) {
    read(key, value);
    if (!(value >= 0 && value <= 1)) fail(std::string(key) + " must lie between 0 and 1");
    return *this;
  }

  Status finish() {
    if (error_.empty() && object_.is_object()) {
      for (const auto& [key, value] : object_.items()) {
        if (!seen_.contains(key)) fail("unknown option \"" + key + "\"");
      }
    }
    if (error_.empty()) return {};
    return Error{ErrorCode::kInvalidArgument, error_};
  }

  Section& fail(const std::string& what) {
    if (error_.empty()) error_ = "\"" + name_ + "\": " + what;
    return *this;
  }

 private:
  const json& object_;
  std::string name_;
  std::set<std::string> seen_;
  std::string error_;
};

const json& member(const json& root, const char* key) {
  static const json kEmpty = json::object();
  const auto it = root.find(key);
  return it == root.end() ? kEmpty : *it;
}

Status read_model(const json& object, ModelShape& m) {
  Section section(object, "model");
  section.read("hidden_size", m.hidden_size)
      .read("num_hidden_layers", m.num_hidden_layers)
      .read("num_attention_heads", m.num_attention_heads)
      .read("num_key_value_heads", m.num_key_value_heads)
      .read("head_dim", m.head_dim)
      .read("intermediate_size", m.intermediate_size)
      .read("guard_inner_size", m.guard_inner_size)
      .read("max_position_embeddings", m.max_position_embeddings)
      .read("rope_theta", m.rope_theta)
      .read("rms_norm_eps", m.rms_norm_eps);
  if (m.hidden_size == 0 || m.num_hidden_layers == 0 || m.head_dim == 0 || m.head_dim % 2 != 0 ||
      m.intermediate_size == 0 || m.guard_inner_size == 0) {
    section.fail("sizes must be positive and head_dim even");
  }
  if (m.num_key_value_heads == 0 || m.num_attention_heads % m.num_key_value_heads != 0) {
    section.fail("num_attention_heads must be a multiple of num_key_value_heads");
  }
  return section.finish();
}

Status read_data(const json& object, DataMix& d) {
  Section section(object, "data");
  section.read("licence_classes", d.licence_classes)
      .read("exclude", d.exclude)
      .read("held_out_modulus", d.held_out_modulus)
      .read("validation_cap", d.validation_cap)
      .read("size_exponent", d.size_exponent)
      .read("factors", d.factors)
      .share("minimum_label_share", d.minimum_label_share)
      .read("max_prompt_tokens", d.max_prompt_tokens)
      .read("max_response_tokens", d.max_response_tokens)
      .read("max_context_tokens", d.max_context_tokens);
  if (d.max_prompt_tokens < 16 || d.max_response_tokens < 16 || d.max_context_tokens < 16) {
    section.fail("token limits below 16 cut the template itself");
  }
  return section.finish();
}

Status read_augmentation(const json& object, Augmentation& a) {
  Section section(object, "augmentation");
  section.share("lower", a.lower)
      .share("replace_tokens", a.replace_tokens)
      .share("random_crop", a.random_crop)
      .share("splice", a.splice)
      .read("splice_pieces", a.splice_pieces)
      .share("other_question", a.other_question)
      .share("forge", a.forge)
      .share("as_response", a.as_response)
      .read("as_response_sources", a.as_response_sources)
      .share("as_prompt", a.as_prompt)
      .read("as_prompt_sources", a.as_prompt_sources);
  if (a.splice_pieces < 2) section.fail("splice_pieces is at least 2");
  return section.finish();
}

Status read_loss(const json& object, LossOptions& l) {
  static const std::map<std::string, TokenLabelRule> kRules = {
      {"all", TokenLabelRule::kAll},
      {"ramp", TokenLabelRule::kRamp},
      {"warm_ramp", TokenLabelRule::kWarmRamp},
      {"last_tokens", TokenLabelRule::kLastTokens},
      {"last_fraction", TokenLabelRule::kLastFraction},
      {"soft_ramp", TokenLabelRule::kSoftRamp}};
  std::string rule = "all";
  Section section(object, "loss");
  section.read("token_label_rule", rule)
      .read("ramp_tokens", l.ramp_tokens)
      .read("last_tokens", l.last_tokens)
      .share("last_fraction", l.last_fraction)
      .share("pooled", l.pooled)
      .read("category_weight", l.category_weight)
      .share("label_smoothing", l.label_smoothing)
      .read("class_weights", l.class_weights)
      .read("safe_weight_of_language", l.safe_weight_of_language)
      .read("response_class_weights", l.response_class_weights)
      .share("teacher", l.teacher)
      .read("prefix", l.prefix)
      .read("teacher_by_token", l.teacher_by_token)
      .read("controversial_margin", l.controversial_margin)
      .share("keep", l.keep)
      .read("language_model", l.language_model);
  const auto it = kRules.find(rule);
  if (it == kRules.end()) {
    section.fail(
        "token_label_rule must be all, ramp, warm_ramp, last_tokens, last_fraction or soft_ramp");
  } else {
    l.rule = it->second;
  }
  if (l.class_weights.size() != 3)
    section.fail("class_weights must have three numbers: Safe, Unsafe, Controversial");
  if (!l.response_class_weights.empty() && l.response_class_weights.size() != 3)
    section.fail("response_class_weights must have three numbers, or be left out");
  if (l.ramp_tokens == 0 || l.last_tokens == 0)
    section.fail("ramp_tokens and last_tokens must be positive");
  return section.finish();
}

Status read_optimizer(const json& object, OptimizerOptions& o) {
  std::string schedule = "cosine";
  Section section(object, "optimizer");
  section.read("bag_rows", o.bag_rows)
      .read("steps", o.steps)
      .read("tokens_per_step", o.tokens_per_step)
      .read("batches_per_step", o.batches_per_step)
      .read("learning_rate", o.learning_rate)
      .read("embedding_rate_factor", o.embedding_rate_factor)
      .read("warmup_steps", o.warmup_steps)
      .read("schedule", schedule)
      .share("final_rate_share", o.final_rate_share)
      .share("beta1", o.beta1)
      .share("beta2", o.beta2)
      .read("epsilon", o.epsilon)
      .read("weight_decay", o.weight_decay)
      .read("clip_norm", o.clip_norm)
      .share("average_decay", o.average_decay)
      .share("embedding_dropout", o.embedding_dropout)
      .share("residual_dropout", o.residual_dropout)
      .share("head_dropout", o.head_dropout)
      .read("validate_every", o.validate_every)
      .read("patience", o.patience);
  if (schedule != "cosine" && schedule != "linear")
    section.fail("schedule must be cosine or linear");
  o.cosine = schedule == "cosine";
  if (o.steps == 0 || o.tokens_per_step == 0 || o.batches_per_step == 0)
    section.fail("steps, tokens_per_step and batches_per_step must be positive");
  return section.finish();
}

}  // namespace

Result<Recipe> parse_recipe(const json& root, const std::filesystem::path& base) {
  if (!root.is_object()) return Error{ErrorCode::kInvalidJson, "a recipe must be a JSON object"};
  Recipe recipe;
  std::string categories;
  json ignored;
  QG_CHECK_OK(Section(root, "recipe")
                  .read("name", recipe.name)
                  .read("description", ignored)
                  .read("categories", categories)
                  .read("model", ignored)
                  .read("data", ignored)
                  .read("augmentation", ignored)
                  .read("loss", ignored)
                  .read("optimizer", ignored)
                  .finish());
  if (recipe.name.empty()) return Error{ErrorCode::kInvalidArgument, "a recipe needs a \"name\""};
  if (categories.empty())
    return Error{ErrorCode::kInvalidArgument, "a recipe needs \"categories\", a file"};
  recipe.categories = base / categories;
  QG_CHECK_OK(read_model(member(root, "model"), recipe.model));
  QG_CHECK_OK(read_data(member(root, "data"), recipe.data));
  QG_CHECK_OK(read_augmentation(member(root, "augmentation"), recipe.augmentation));
  QG_CHECK_OK(read_loss(member(root, "loss"), recipe.loss));
  QG_CHECK_OK(read_optimizer(member(root, "optimizer"), recipe.optimizer));
  return recipe;
}

Result<Recipe> read_recipe(const std::filesystem::path& path) {
  QG_TRY(const json root, bytes::read_json(path));
  auto recipe = parse_recipe(root, path.parent_path());
  if (!recipe.ok()) return std::move(recipe).error().with_context(path.string());
  return recipe;
}

}  // namespace qwen3guard::training
