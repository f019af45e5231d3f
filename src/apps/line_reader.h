// Lines of a file or of standard input, one at a time and never more than a limit of each in
// memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "formats/conversation_json.h"
#include "qwen3guard/result.h"

namespace qwen3guard::apps {

struct Line {
  std::string text;  // without the newline; empty when too long
  bool too_long = false;
  bool complete = true;     // ended by a newline, not by the end of the input
  std::uint64_t bytes = 0;  // of the input, the newline included
};

/// The conversation of a line; kTooLong for one that was too long to be held.
formats::ConversationLine parse_conversation_line(const Line& line);

class LineReader {
 public:
  static constexpr std::size_t kMaxLineBytes = 64u << 20;

  /// `path` "-" is standard input. Errors: kNotFound, kIo (a directory included).
  static Result<LineReader> open(const std::string& path,
                                 std::size_t max_line_bytes = kMaxLineBytes);
  /// Reads from an open descriptor, which stays the caller's.
  LineReader(int descriptor, std::string name, std::size_t max_line_bytes = kMaxLineBytes);

  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;
  ~LineReader();

  /// The next line, or none at the end. A newline at the very end begins no further line. What goes
  /// beyond the limit is read and dropped. Errors: kIo.
  Result<std::optional<Line>> next();

  /// Whether next() need not wait for anyone to write: a whole line is held, or more can be read.
  bool ready() const;

  int descriptor() const { return descriptor_; }
  /// Size of the whole input, where it is a regular file.
  std::optional<std::uint64_t> total_bytes() const { return total_bytes_; }

 private:
  Result<bool> fill();  // false at the end

  int descriptor_;
  bool owned_ = false;
  std::string name_;
  std::size_t max_line_bytes_;
  std::optional<std::uint64_t> total_bytes_;
  std::string buffer_;
  std::size_t at_ = 0;
};

}  // namespace qwen3guard::apps
