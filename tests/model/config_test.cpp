#include "model/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/model.h"

namespace qwen3guard::model {
namespace {

nlohmann::json valid() {
  return nlohmann::json::parse(R"({
    "architectures": ["Qwen3ForGuardModel"], "hidden_size": 1024, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072,
    "vocab_size": 151936, "max_position_embeddings": 8192, "rope_theta": 1000000, "rms_norm_eps": 1e-6,
    "tie_word_embeddings": true, "guard_inner_size": 512, "rope_scaling": null,
    "query_category_map": {"0": "\"Violent\"", "1": "b", "2": "c", "3": "d", "4": "e", "5": "f", "6": "g",
                           "7": "h", "8": "i"}})");
}

TEST(Config, ReadsTheOfficialShape) {
  const auto config = parse_config(valid());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->query_width(), 2048u);
  EXPECT_EQ(config->kv_width(), 1024u);
  EXPECT_TRUE(config->tied_embeddings);
  ASSERT_TRUE(config->guard.has_value());
  EXPECT_EQ(config->guard->inner_size, 512u);
  EXPECT_EQ(config->guard->query_category_names.at(0), "Violent") << "stray quotes must go";
}

struct Broken {
  const char* key;
  nlohmann::json value;  // null removes the key
  ErrorCode code;
};

TEST(Config, EveryContradictionIsAnErrorThatNamesTheKey) {
  const std::vector<Broken> cases = {
      {"hidden_size", nullptr, ErrorCode::kCorruptFile},
      {"hidden_size", 0, ErrorCode::kCorruptFile},
      {"hidden_size", -5, ErrorCode::kCorruptFile},
      {"hidden_size", 18446744073709551615ull, ErrorCode::kCorruptFile},
      {"vocab_size", "many", ErrorCode::kCorruptFile},
      {"vocab_size", 1e30, ErrorCode::kCorruptFile},
      {"num_hidden_layers", 100000, ErrorCode::kCorruptFile},
      {"num_key_value_heads", 5, ErrorCode::kCorruptFile},
      {"head_dim", 127, ErrorCode::kCorruptFile},
      {"head_dim", 16777216, ErrorCode::kCorruptFile},
      {"rope_theta", 0, ErrorCode::kCorruptFile},
      {"rms_norm_eps", -1.0, ErrorCode::kCorruptFile},
      {"tie_word_embeddings", "yes", ErrorCode::kCorruptFile},
      {"architectures", nlohmann::json::array({"LlamaForCausalLM"}), ErrorCode::kUnsupported},
      {"architectures", "Qwen3ForGuardModel", ErrorCode::kCorruptFile},
      {"rope_scaling", {{"type", "yarn"}}, ErrorCode::kUnsupported},
      {"attention_bias", true, ErrorCode::kUnsupported},
      {"hidden_act", "gelu", ErrorCode::kUnsupported},
      {"num_category", 7, ErrorCode::kCorruptFile},
      {"query_category_map", {{"0", "Violent"}}, ErrorCode::kCorruptFile},
  };
  for (const Broken& broken : cases) {
    nlohmann::json json = valid();
    if (broken.value.is_null()) {
      json.erase(broken.key);
    } else {
      json[broken.key] = broken.value;
    }
    const auto config = parse_config(json);
    ASSERT_FALSE(config.ok()) << broken.key << " = " << broken.value;
    EXPECT_EQ(config.error().code, broken.code) << config.error().message;
    EXPECT_NE(config.error().message.find(broken.key), std::string::npos) << config.error().message;
  }
}

TEST(Model, AMissingDirectoryIsNamed) {
  const auto model = Model::load("/nonexistent-checkpoint");
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kNotFound);
  EXPECT_NE(model.error().message.find("/nonexistent-checkpoint"), std::string::npos);
}

}  // namespace
}  // namespace qwen3guard::model
