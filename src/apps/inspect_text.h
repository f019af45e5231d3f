// How inspect writes what it found.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace qwen3guard::apps {

/// Text of a file made harmless for a terminal.
std::string plain(std::string_view text);
/// One indented line "name  value".
std::string fact(const std::string& name, const std::string& value);
/// What kind of model, its shape and label names.
std::string config_facts(const model::ModelConfig& config);

struct TensorLine {
  std::string_view name;
  std::string_view type;
  std::span<const std::int64_t> shape;
};
/// One line for the tensors that differ only in their layer.
std::string tensor_table(const std::vector<TensorLine>& tensors);

}  // namespace qwen3guard::apps
