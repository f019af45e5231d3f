#include "random_checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <vector>

#include "bytes/atomic_file.h"
#include "bytes/safetensors.h"

namespace qwen3guard::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "random_checkpoint: %s\n", what.c_str());
  std::abort();
}

class Writer {
 public:
  explicit Writer(unsigned seed) : generator_(seed) {}

  void matrix(const std::string& name, std::size_t rows, std::size_t columns, float scale = 1.0f) {
    std::normal_distribution<float> normal(0.0f, scale / std::sqrt(static_cast<float>(columns)));
    add(name, {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)},
        [&] { return normal(generator_); });
  }
  void norm(const std::string& name, std::size_t n, bool broken = false) {
    std::normal_distribution<float> normal(1.0f, 0.1f);
    add(name, {static_cast<std::int64_t>(n)},
        [&] { return broken ? std::numeric_limits<float>::quiet_NaN() : normal(generator_); });
  }
  // With `one(row, column) ? 1 : 0`.
  template <typename One>
  void overwrite(const std::string& name, One one) {
    const auto t = std::find_if(tensors_.begin(), tensors_.end(),
                                [&](const Tensor& tensor) { return tensor.name == name; });
    const auto columns = static_cast<std::size_t>(t->shape[1]);
    for (std::size_t i = 0; i < t->values.size(); ++i)
      t->values[i] = one(i / columns, i % columns) ? 0x3F80 : 0;
  }
  void write(const std::filesystem::path& path) {
    std::vector<bytes::TensorToWrite> tensors;
    for (const Tensor& t : tensors_) {
      tensors.push_back({t.name, bytes::DType::kBF16, t.shape, std::as_bytes(std::span(t.values))});
    }
    const Status status = bytes::write_safetensors(path, tensors, {{"format", "pt"}});
    if (!status.ok()) fail(status.error().message);
  }

 private:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<std::uint16_t> values;
  };
  template <typename Next>
  void add(const std::string& name, std::vector<std::int64_t> shape, Next next) {
    std::size_t count = 1;
    for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
    std::vector<std::uint16_t> values(count);
    for (std::uint16_t& v : values) {
      v = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(next())) >>
                                     16);
    }
    tensors_.push_back({name, std::move(shape), std::move(values)});
  }

  std::mt19937 generator_;
  std::vector<Tensor> tensors_;
};

// State 0 stands for a safe token, state 1 for an unsafe one; layers add nothing to it and heads
// copy it.
void make_token_guard(Writer& writer, const RandomCheckpoint& c) {
  const auto zero = [](std::size_t, std::size_t) { return false; };
  const auto copy = [](std::size_t row, std::size_t column) { return row == column && row < 2; };
  const std::set<std::size_t> unsafe(c.unsafe.begin(), c.unsafe.end());
  writer.overwrite("model.embed_tokens.weight",
                   [&](std::size_t id, std::size_t column) { return column == unsafe.count(id); });
  for (std::size_t l = 0; l < c.layers; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    writer.overwrite(layer + "self_attn.o_proj.weight", zero);
    writer.overwrite(layer + "mlp.down_proj.weight", zero);
  }
  for (const std::string prefix : {"", "query_"}) {
    writer.overwrite(prefix + "risk_level_category_pre.weight", copy);
    writer.overwrite(prefix + "risk_level_head.weight", copy);
  }
}

}  // namespace

std::filesystem::path write_random_checkpoint(const RandomCheckpoint& c,
                                              const std::filesystem::path& tokenizer_json) {
  std::string name = (std::filesystem::temp_directory_path() / "qwen3guard-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) fail("cannot make a temporary directory");
  const std::filesystem::path directory = name;

  const nlohmann::json config = {
      {"architectures", {c.guard ? "Qwen3ForGuardModel" : "Qwen3ForCausalLM"}},
      {"model_type", "qwen3"},
      {"hidden_size", c.hidden},
      {"num_hidden_layers", c.layers},
      {"num_attention_heads", c.heads},
      {"num_key_value_heads", c.kv_heads},
      {"head_dim", c.head_dim},
      {"intermediate_size", c.intermediate},
      {"vocab_size", c.vocabulary},
      {"max_position_embeddings", c.max_positions},
      {"rope_theta", 1000000},
      {"rms_norm_eps", 1e-6},
      {"tie_word_embeddings", true},
      {"guard_inner_size", c.inner},
  };
  const Status written = bytes::write_file_atomically(directory / "config.json", config.dump(2));
  if (!written.ok()) fail(written.error().message);

  Writer writer(c.seed);
  writer.matrix("model.embed_tokens.weight", c.vocabulary, c.hidden,
                std::sqrt(static_cast<float>(c.hidden)));
  writer.norm("model.norm.weight", c.hidden, c.broken);
  for (std::size_t l = 0; l < c.layers; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    writer.norm(layer + "input_layernorm.weight", c.hidden);
    writer.matrix(layer + "self_attn.q_proj.weight", c.heads * c.head_dim, c.hidden);
    writer.matrix(layer + "self_attn.k_proj.weight", c.kv_heads * c.head_dim, c.hidden);
    writer.matrix(layer + "self_attn.v_proj.weight", c.kv_heads * c.head_dim, c.hidden);
    writer.norm(layer + "self_attn.q_norm.weight", c.head_dim);
    writer.norm(layer + "self_attn.k_norm.weight", c.head_dim);
    writer.matrix(layer + "self_attn.o_proj.weight", c.hidden, c.heads * c.head_dim);
    writer.norm(layer + "post_attention_layernorm.weight", c.hidden);
    writer.matrix(layer + "mlp.gate_proj.weight", c.intermediate, c.hidden);
    writer.matrix(layer + "mlp.up_proj.weight", c.intermediate, c.hidden);
    writer.matrix(layer + "mlp.down_proj.weight", c.hidden, c.intermediate);
  }
  if (c.guard) {
    for (const std::string prefix : {"", "query_"}) {
      writer.matrix(prefix + "risk_level_category_pre.weight", c.inner, c.hidden);
      writer.norm(prefix + "risk_level_category_layernorm.weight", c.inner);
      writer.matrix(prefix + "risk_level_head.weight", 3, c.inner, c.head_scale);
      writer.matrix(prefix + "category_head.weight", prefix.empty() ? 8 : 9, c.inner, c.head_scale);
    }
  }
  if (!c.unsafe.empty()) make_token_guard(writer, c);
  writer.write(directory / "model.safetensors");
  std::error_code error;
  std::filesystem::copy_file(tokenizer_json, directory / "tokenizer.json", error);
  if (error) fail("cannot copy " + tokenizer_json.string());
  return directory;
}

}  // namespace qwen3guard::test
