// A small Stream checkpoint with random weights around the golden tokenizer: it says nothing
// sensible, but everything that a checkpoint must.
#pragma once

#include <filesystem>
#include <string>

namespace qwen3guard::apps::test {

struct CheckpointOptions {
  std::size_t max_positions = 8192;
  bool tokenizer = true;
  bool nan = false;         // every weight
  std::string leave_out{};  // a tensor to leave out
  unsigned seed = 1;
};

void write_checkpoint(const std::filesystem::path& directory,
                      const CheckpointOptions& options = {});

/// One with the default options, written once and shared by all tests.
const std::filesystem::path& shared_checkpoint();

}  // namespace qwen3guard::apps::test
