// Buffered writing to a descriptor, where no error is ever lost.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "qwen3guard/result.h"

namespace qwen3guard::apps {

/// Standard output or a file. After an error every later call returns an error too. Not
/// thread-safe.
class Output {
 public:
  static Output standard_output();
  /// Takes over an open descriptor; `name` is for messages.
  Output(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}

  Output(Output&& other) noexcept;
  Output& operator=(Output&& other) = delete;
  /// Closes without flushing: call close() to know that everything was written.
  ~Output();

  Status write(std::string_view text);
  Status flush();
  /// Flushes, waits until the disk has it where that means something, and closes.
  Status close();

 private:
  Error system_error(int number) const;

  int descriptor_;
  std::string name_;
  std::string buffer_;
};

}  // namespace qwen3guard::apps
