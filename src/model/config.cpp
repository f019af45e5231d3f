#include "model/config.h"

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "bytes/json.h"

namespace qwen3guard::model {
namespace {

using nlohmann::json;

// Far above any dense Qwen3, low enough that products of two of them fit 64 bits many times over.
constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;

Error bad_key(std::string_view key, const std::string& expected, const json* found) {
  std::string text = "\"" + std::string(key) + "\": expected " + expected + ", found ";
  text += found == nullptr
              ? "nothing"
              : found->dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80);
  return {ErrorCode::kCorruptFile, text + "; compare the file with the published checkpoint's"};
}

const json* find(const json& object, std::string_view key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Result<std::size_t> size_at(const json& object, std::string_view key) {
  const json* value = find(object, key);
  if (value == nullptr || !value->is_number_integer())
    return bad_key(key, "a positive integer", value);
  if (value->is_number_unsigned() &&
      value->get<std::uint64_t>() > static_cast<std::uint64_t>(kLargestSize)) {
    return bad_key(key, "at most " + std::to_string(kLargestSize), value);
  }
  const auto number = value->get<std::int64_t>();
  if (number < 1 || number > kLargestSize) {
    return bad_key(key, "an integer from 1 to " + std::to_string(kLargestSize), value);
  }
  return static_cast<std::size_t>(number);
}

Result<double> number_at(const json& object, std::string_view key, double low, double high) {
  const json* value = find(object, key);
  if (value == nullptr || !value->is_number()) return bad_key(key, "a number", value);
  const double number = value->get<double>();
  if (!(number >= low && number <= high)) {
    return bad_key(key, "a number from " + std::to_string(low) + " to " + std::to_string(high),
                   value);
  }
  return number;
}

// "0": "Safe", "1": … as a list. Published maps quote some names twice ("\"Violent\"").
Result<std::vector<std::string>> label_map(const json& object, std::string_view key,
                                           std::string_view count_key, std::size_t expected_count) {
  std::size_t count = expected_count;
  if (find(object, count_key) != nullptr) {
    QG_TRY(count, size_at(object, count_key));
    if (count != expected_count) {
      return bad_key(count_key, std::to_string(expected_count), find(object, count_key));
    }
  }
  std::vector<std::string> names;
  const json* map = find(object, key);
  if (map == nullptr) return names;  // the official names apply
  if (!map->is_object() || map->size() != count) {
    return bad_key(key, "an object with the keys \"0\" to \"" + std::to_string(count - 1) + "\"",
                   map);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const json* name = find(*map, std::to_string(i));
    if (name == nullptr || !name->is_string()) {
      return bad_key(key, "a string at \"" + std::to_string(i) + "\"", map);
    }
    std::string text = name->get<std::string>();
    while (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
      text = text.substr(1, text.size() - 2);
    }
    names.push_back(std::move(text));
  }
  return names;
}

Result<GuardHeadsConfig> guard_heads(const json& object) {
  GuardHeadsConfig guard;
  if (find(object, "guard_inner_size") != nullptr) {
    QG_TRY(guard.inner_size, size_at(object, "guard_inner_size"));
  }
  QG_TRY(guard.response_risk_names,
         label_map(object, "response_risk_level_map", "num_risk_level", 3));
  QG_TRY(guard.response_category_names,
         label_map(object, "response_category_map", "num_category", 8));
  QG_TRY(guard.query_risk_names,
         label_map(object, "query_risk_level_map", "num_query_risk_level", 3));
  QG_TRY(guard.query_category_names,
         label_map(object, "query_category_map", "num_query_category", 9));
  return guard;
}

Error unsupported(std::string_view key, const json& found, const std::string& expected) {
  return {ErrorCode::kUnsupported,
          "\"" + std::string(key) + "\" is " +
              found.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80) +
              "; this program runs " + expected};
}

// Values that would change the arithmetic; absent means the value that we implement.
Status check_variants(const json& object) {
  if (const json* value = find(object, "hidden_act"); value != nullptr && *value != "silu") {
    return unsupported("hidden_act", *value, "\"silu\"");
  }
  for (const char* key : {"attention_bias", "use_sliding_window"}) {
    const json* value = find(object, key);
    if (value != nullptr && *value != false) return unsupported(key, *value, "false");
  }
  const json* scaling = find(object, "rope_scaling");
  if (scaling != nullptr)
    return unsupported("rope_scaling", *scaling, "checkpoints without it (null)");
  if (const json* layers = find(object, "layer_types")) {
    if (!layers->is_array()) return bad_key("layer_types", "an array", layers);
    for (const json& layer : *layers) {
      if (layer != "full_attention") return unsupported("layer_types", layer, "\"full_attention\"");
    }
  }
  return {};
}

// Newer exporters write rope_parameters {rope_theta, rope_type}; published files have rope_theta.
Result<double> rope_theta(const json& object) {
  const json* parameters = find(object, "rope_parameters");
  if (parameters == nullptr) return number_at(object, "rope_theta", 1.0, 1e12);
  if (!parameters->is_object()) return bad_key("rope_parameters", "an object", parameters);
  const json* type = find(*parameters, "rope_type");
  if (type != nullptr && *type != "default")
    return unsupported("rope_parameters", *type, "\"default\"");
  return number_at(*parameters, "rope_theta", 1.0, 1e12);
}

}  // namespace

Result<ModelConfig> parse_config(const json& object) {
  if (!object.is_object()) return bad_key("(top level)", "an object", &object);
  const json* architectures = find(object, "architectures");
  if (architectures == nullptr || !architectures->is_array() || architectures->size() != 1) {
    return bad_key("architectures", "one of [\"Qwen3ForGuardModel\"], [\"Qwen3ForCausalLM\"]",
                   architectures);
  }
  const json& architecture = architectures->front();
  const bool guard = architecture == "Qwen3ForGuardModel";
  if (!guard && architecture != "Qwen3ForCausalLM") {
    return unsupported("architectures", architecture, "Qwen3ForGuardModel and Qwen3ForCausalLM");
  }
  QG_CHECK_OK(check_variants(object));

  ModelConfig config;
  QG_TRY(config.hidden_size, size_at(object, "hidden_size"));
  QG_TRY(config.layers, size_at(object, "num_hidden_layers"));
  QG_TRY(config.heads, size_at(object, "num_attention_heads"));
  QG_TRY(config.kv_heads, size_at(object, "num_key_value_heads"));
  QG_TRY(config.intermediate_size, size_at(object, "intermediate_size"));
  QG_TRY(config.vocabulary_size, size_at(object, "vocab_size"));
  QG_TRY(config.max_positions, size_at(object, "max_position_embeddings"));
  if (find(object, "head_dim") != nullptr) {
    QG_TRY(config.head_dim, size_at(object, "head_dim"));
  } else {
    config.head_dim = config.hidden_size / config.heads;
  }
  QG_TRY(config.rope_theta, rope_theta(object));
  QG_TRY(const double epsilon, number_at(object, "rms_norm_eps", 0.0, 1.0));
  config.rms_epsilon = static_cast<float>(epsilon);

  if (config.layers > 4096) {
    return bad_key("num_hidden_layers", "at most 4096", find(object, "num_hidden_layers"));
  }
  if (config.heads % config.kv_heads != 0) {
    return bad_key("num_key_value_heads",
                   "a divisor of num_attention_heads (" + std::to_string(config.heads) + ")",
                   find(object, "num_key_value_heads"));
  }
  if (config.head_dim == 0 || config.head_dim % 2 != 0) {
    return bad_key("head_dim", "a positive even number (rotary embedding works on pairs)",
                   find(object, "head_dim"));
  }
  if (config.query_width() > static_cast<std::size_t>(kLargestSize)) {
    return bad_key("head_dim",
                   "num_attention_heads * head_dim of at most " + std::to_string(kLargestSize),
                   find(object, "head_dim"));
  }
  if (const json* tied = find(object, "tie_word_embeddings")) {
    if (!tied->is_boolean()) return bad_key("tie_word_embeddings", "true or false", tied);
    config.tied_embeddings = tied->get<bool>();
  }
  if (guard) {
    QG_TRY(config.guard, guard_heads(object));
  }
  return config;
}

Result<ModelConfig> load_config(const std::filesystem::path& directory) {
  QG_TRY(const json object,
         bytes::read_json(directory / "config.json", {.max_bytes = 1u << 20, .max_depth = 32}));
  auto config = parse_config(object);
  if (!config.ok()) {
    return std::move(config).error().with_context((directory / "config.json").string());
  }
  return config;
}

}  // namespace qwen3guard::model
