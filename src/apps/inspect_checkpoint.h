// What a checkpoint directory or a tensor file holds, and what is wrong with it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::apps {

/// Facts as readable text; problems keep the artefact from working, or from being trusted; notes do
/// not. Names from the files are escaped.
struct Inspection {
  std::string facts;
  std::vector<std::string> problems;
  std::vector<std::string> notes;
};

/// Errors (kNotFound, kIo): only where nothing could be read at all. `read_values` looks at every
/// number (NaN, infinities); without it only headers are read.
Result<Inspection> inspect_checkpoint(const std::filesystem::path& directory, bool read_values,
                                      int threads);
Result<Inspection> inspect_safetensors(const std::filesystem::path& file, bool read_values,
                                       int threads);

/// A model in one GGUF file, its tokenizer included.
Result<Inspection> inspect_gguf(const std::filesystem::path& file, bool read_values);

}  // namespace qwen3guard::apps
