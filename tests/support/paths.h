// Where the files are that several tests read.
#pragma once

#include <filesystem>

namespace qwen3guard {

/// The model in the box.
inline std::filesystem::path boxed() {
  return std::filesystem::path(QG_SOURCE_DIR) / "models" / "qwen3guard-stream-mini";
}

/// A small tokenizer of the full one's kind.
inline std::filesystem::path golden_tokenizer_file() {
  return std::filesystem::path(QG_TEST_DATA) / "tokenizer" / "tokenizer.json";
}

}  // namespace qwen3guard
