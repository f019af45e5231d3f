// What GGUF files call the parts of a Qwen3: the community's names for the body, ours for the guard
// heads and their labels. docs/formats/gguf.md has the table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bytes/gguf.h"
#include "model/config.h"
#include "qwen3guard/result.h"

namespace qwen3guard::model {

/// "model.layers.3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight"; nothing for the guard heads, which
/// are no tensors there: other programs refuse a file with tensors that they do not know.
std::optional<std::string> gguf_tensor_name(std::string_view official);
/// The metadata key of a guard head, an array of f32 in row-major order:
/// "risk_level_head.weight" -> "qwen3guard.risk_level_head.weight".
std::string gguf_head_key(std::string_view official);

/// The configuration that the metadata states. A file with "qwen3guard.*" keys is a Stream model.
/// Errors: kNotFound, kUnsupported, kCorruptFile, naming the key.
Result<ModelConfig> gguf_config(const bytes::GgufFile& file);
/// The inverse, without the tokenizer's keys. `name` is for people.
bytes::GgufMetadata gguf_metadata(const ModelConfig& config, const std::string& name);

}  // namespace qwen3guard::model
