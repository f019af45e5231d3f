#include "training/parameters.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/random.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/json.h"
#include "bytes/safetensors.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard::training {
namespace {

std::int64_t extent(std::size_t n) { return static_cast<std::int64_t>(n); }

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

float half_to_float(std::uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  float value = 0;
  if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), -24);
  } else if (exponent == 31) {
    value = mantissa == 0 ? INFINITY : NAN;
  } else {
    value = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return (h & 0x8000) != 0 ? -value : value;
}

Status widen(const bytes::TensorView& tensor, float* to) {
  const std::size_t n = static_cast<std::size_t>(tensor.elements());
  const std::byte* from = tensor.data.data();
  for (std::size_t i = 0; i < n; ++i) {
    if (tensor.dtype == bytes::DType::kF32) {
      std::memcpy(to + i, from + 4 * i, 4);
    } else {
      std::uint16_t bits = 0;
      std::memcpy(&bits, from + 2 * i, 2);
      if (tensor.dtype == bytes::DType::kBF16) {
        to[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
      } else if (tensor.dtype == bytes::DType::kF16) {
        to[i] = half_to_float(bits);
      } else {
        return Error{ErrorCode::kUnsupported, "tensor " + std::string(tensor.name) + ": dtype " +
                                                  std::string(bytes::dtype_name(tensor.dtype)) +
                                                  "; expected BF16, F16 or F32"};
      }
    }
    if (!std::isfinite(to[i])) {
      return Error{ErrorCode::kNonFinite, "tensor " + std::string(tensor.name) + ": element " +
                                              std::to_string(i) + " is not a finite number"};
    }
  }
  return {};
}

class LayoutBuilder {
 public:
  explicit LayoutBuilder(Layout& layout) : layout_(layout) {}

  void norm(const std::string& name, const std::string& official, std::size_t width) {
    add({name, {extent(width)}, 0, {{official, width}}, false, 0.0});
  }
  void matrix(const std::string& name, std::vector<Piece::Part> parts, std::size_t columns,
              double initial) {
    std::size_t rows = 0;
    for (const auto& part : parts) rows += part.rows;
    add({name, {extent(rows), extent(columns)}, 0, std::move(parts), true, initial});
  }

 private:
  void add(Piece piece) {
    piece.offset = layout_.total;
    // Whole cache lines keep every piece aligned for the vector units.
    layout_.total += (piece.size() + 15) / 16 * 16;
    layout_.pieces.push_back(std::move(piece));
  }
  Layout& layout_;
};

}  // namespace

const Piece& Layout::find(const std::string& name) const {
  for (const auto& piece : pieces) {
    if (piece.name == name) return piece;
  }
  QG_CHECK(false && "no such piece");
  return pieces.front();
}

Layout make_layout(const ModelShape& shape, std::size_t vocabulary) {
  Layout layout{shape, vocabulary, {}, 0};
  LayoutBuilder build(layout);
  const std::size_t d = shape.hidden_size;
  const double width = static_cast<double>(d);
  // Small networks start wider than Qwen's 0.02, else their first thousand steps go into growing.
  const double in = d > 400 ? 0.02 : 0.5 / std::sqrt(width);
  const double out = in / std::sqrt(2.0 * static_cast<double>(shape.num_hidden_layers));
  build.matrix("embedding", {{"model.embed_tokens.weight", vocabulary}}, d, 0.05);
  for (std::size_t l = 0; l < shape.num_hidden_layers; ++l) {
    const std::string own = "layer" + std::to_string(l) + ".";
    const std::string official = "model.layers." + std::to_string(l) + ".";
    const std::size_t q = shape.num_attention_heads * shape.head_dim;
    const std::size_t kv = shape.num_key_value_heads * shape.head_dim;
    build.norm(own + "norm1", official + "input_layernorm.weight", d);
    build.matrix(own + "qkv",
                 {{official + "self_attn.q_proj.weight", q},
                  {official + "self_attn.k_proj.weight", kv},
                  {official + "self_attn.v_proj.weight", kv}},
                 d, in);
    build.norm(own + "q_norm", official + "self_attn.q_norm.weight", shape.head_dim);
    build.norm(own + "k_norm", official + "self_attn.k_norm.weight", shape.head_dim);
    build.matrix(own + "out", {{official + "self_attn.o_proj.weight", d}}, q, out);
    build.norm(own + "norm2", official + "post_attention_layernorm.weight", d);
    build.matrix(own + "gate_up",
                 {{official + "mlp.gate_proj.weight", shape.intermediate_size},
                  {official + "mlp.up_proj.weight", shape.intermediate_size}},
                 d, in);
    build.matrix(own + "down", {{official + "mlp.down_proj.weight", d}}, shape.intermediate_size,
                 out);
  }
  build.norm("norm", "model.norm.weight", d);
  for (const bool query : {true, false}) {
    const std::string own = query ? "query." : "response.";
    const std::string official = query ? "query_" : "";
    const std::size_t g = shape.guard_inner_size;
    build.matrix(own + "pre", {{official + "risk_level_category_pre.weight", g}}, d,
                 1.0 / std::sqrt(width));
    build.norm(own + "norm", official + "risk_level_category_layernorm.weight", g);
    build.matrix(own + "risk", {{official + "risk_level_head.weight", kRiskCount}}, g, 0.02);
    build.matrix(
        own + "category",
        {{official + "category_head.weight", query ? kQueryCategoryCount : kResponseCategoryCount}},
        g, 0.02);
  }
  return layout;
}

std::vector<float> initial_weights(const Layout& layout, std::uint64_t seed) {
  std::vector<float> weights(layout.total, 0.0f);
  for (std::size_t p = 0; p < layout.pieces.size(); ++p) {
    const Piece& piece = layout.pieces[p];
    Random random(seed, p + 1);
    for (std::size_t i = 0; i < piece.size(); ++i) {
      weights[piece.offset + i] =
          piece.initial == 0 ? 1.0f : static_cast<float>(random.normal() * piece.initial);
    }
  }
  return weights;
}

Status export_checkpoint(const Layout& layout, const std::vector<float>& weights, std::int64_t eos,
                         std::int64_t pad, const std::filesystem::path& directory) {
  QG_CHECK(weights.size() == layout.total);
  std::vector<std::uint16_t> halves(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!std::isfinite(weights[i]))
      return Error{ErrorCode::kNonFinite, "the weights are not finite: nothing is written"};
    halves[i] = to_bf16(weights[i]);
  }
  std::vector<bytes::TensorToWrite> tensors;
  for (const auto& piece : layout.pieces) {
    std::size_t at = piece.offset;
    for (const auto& part : piece.parts) {
      auto shape = piece.shape;
      shape[0] = extent(part.rows);
      std::size_t n = part.rows;
      for (std::size_t i = 1; i < shape.size(); ++i) n *= static_cast<std::size_t>(shape[i]);
      tensors.push_back({part.official_name, bytes::DType::kBF16, shape,
                         std::as_bytes(std::span(halves).subspan(at, n))});
      at += n;
    }
  }
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure) return Error{ErrorCode::kIo, directory.string() + ": " + failure.message()};

  const ModelShape& s = layout.shape;
  const auto names = [](std::size_t count, const auto& name) {
    nlohmann::ordered_json map;
    for (std::size_t i = 0; i < count; ++i) map[std::to_string(i)] = name(i);
    return map;
  };
  const auto risk = [](std::size_t i) { return std::string(risk_name(static_cast<Risk>(i))); };
  const auto category = [](std::size_t i) {
    return std::string(category_name(static_cast<Category>(i)));
  };
  nlohmann::ordered_json config = {
      {"architectures", {"Qwen3ForGuardModel"}},
      {"model_type", "qwen3"},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"eos_token_id", eos},
      {"pad_token_id", pad},
      {"guard_inner_size", s.guard_inner_size},
      {"head_dim", s.head_dim},
      {"hidden_act", "silu"},
      {"hidden_size", s.hidden_size},
      {"initializer_range", 0.02},
      {"intermediate_size", s.intermediate_size},
      {"max_position_embeddings", s.max_position_embeddings},
      {"num_attention_heads", s.num_attention_heads},
      {"num_hidden_layers", s.num_hidden_layers},
      {"num_key_value_heads", s.num_key_value_heads},
      {"num_risk_level", kRiskCount},
      {"num_category", kResponseCategoryCount},
      {"num_query_risk_level", kRiskCount},
      {"num_query_category", kQueryCategoryCount},
      {"response_risk_level_map", names(kRiskCount, risk)},
      {"response_category_map", names(kResponseCategoryCount, category)},
      {"query_risk_level_map", names(kRiskCount, risk)},
      {"query_category_map", names(kQueryCategoryCount, category)},
      {"rms_norm_eps", s.rms_norm_eps},
      {"rope_scaling", nullptr},
      {"rope_theta", s.rope_theta},
      {"tie_word_embeddings", true},
      {"torch_dtype", "bfloat16"},
      {"use_cache", true},
      {"use_sliding_window", false},
      {"vocab_size", layout.vocabulary}};
  QG_CHECK_OK(bytes::write_file_atomically(directory / "config.json", config.dump(2) + "\n"));
  return bytes::write_safetensors(directory / "model.safetensors", tensors, {{"format", "pt"}});
}

Result<CheckpointShape> read_checkpoint_shape(const std::filesystem::path& directory,
                                              const ModelShape& fallback) {
  const auto path = directory / "config.json";
  QG_TRY(const nlohmann::json config, bytes::read_json(path));
  ModelShape shape = fallback;
  std::size_t vocabulary = 0;
  try {
    vocabulary = config.at("vocab_size").get<std::size_t>();
    shape.hidden_size = config.at("hidden_size").get<std::size_t>();
    shape.num_hidden_layers = config.at("num_hidden_layers").get<std::size_t>();
    shape.num_attention_heads = config.at("num_attention_heads").get<std::size_t>();
    shape.num_key_value_heads = config.at("num_key_value_heads").get<std::size_t>();
    shape.head_dim = config.at("head_dim").get<std::size_t>();
    shape.intermediate_size = config.at("intermediate_size").get<std::size_t>();
    shape.max_position_embeddings = config.at("max_position_embeddings").get<std::size_t>();
    shape.rope_theta = config.at("rope_theta").get<double>();
    shape.rms_norm_eps = config.at("rms_norm_eps").get<double>();
    if (config.contains("guard_inner_size"))
      shape.guard_inner_size = config.at("guard_inner_size").get<std::size_t>();
  } catch (const nlohmann::json::exception& e) {
    return Error{ErrorCode::kInvalidJson, path.string() + ": " + e.what()};
  }
  if (shape.num_key_value_heads == 0 ||
      shape.num_attention_heads % shape.num_key_value_heads != 0 || shape.head_dim % 2 != 0 ||
      shape.head_dim == 0 || shape.hidden_size == 0) {
    return Error{ErrorCode::kUnsupported, path.string() + ": sizes that no Qwen3 model can have"};
  }
  return CheckpointShape{shape, vocabulary};
}

Result<std::size_t> import_checkpoint(const Layout& layout, const std::filesystem::path& directory,
                                      std::vector<float>& weights) {
  QG_CHECK(weights.size() == layout.total);
  QG_TRY(const bytes::TensorStore store, bytes::TensorStore::open(directory));
  const bool has_heads = store.find("risk_level_head.weight") != nullptr;
  if (store.find("lm_head.weight") != nullptr && has_heads) {
    return Error{ErrorCode::kUnsupported,
                 directory.string() + ": an untied lm_head beside guard heads cannot be trained"};
  }
  std::size_t read = 0;
  for (const auto& piece : layout.pieces) {
    std::size_t at = piece.offset;
    for (const auto& part : piece.parts) {
      auto shape = piece.shape;
      shape[0] = extent(part.rows);
      std::size_t n = part.rows;
      for (std::size_t i = 1; i < shape.size(); ++i) n *= static_cast<std::size_t>(shape[i]);
      const bytes::TensorView* tensor = store.find(part.official_name);
      if (tensor == nullptr) {
        const bool trunk = part.official_name.starts_with("model.");
        if (trunk || has_heads) {
          return Error{ErrorCode::kNotFound,
                       directory.string() + ": tensor " + part.official_name + " is missing"};
        }
      } else {
        if (!std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end())) {
          return Error{ErrorCode::kCorruptFile,
                       directory.string() + ": tensor " + part.official_name +
                           " does not have the shape that config.json gives"};
        }
        QG_CHECK_OK(widen(*tensor, weights.data() + at));
        ++read;
      }
      at += n;
    }
  }
  return read;
}

}  // namespace qwen3guard::training
