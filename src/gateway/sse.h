// Server-sent events: bytes in any pieces -> the data of whole events, and back.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::gateway {

/// Reads a stream as WHATWG's standard says: lines end with LF, CR LF or CR, several data lines are
/// one text. Comments and fields other than data are dropped: chat completions have none with a
/// meaning, and their text would go unjudged.
class SseReader {
 public:
  /// `event_bytes`: limit on one event, comments included.
  explicit SseReader(std::size_t event_bytes) : limit_(event_bytes) {}

  /// Takes the next bytes and appends the data of the events that they complete. Error: kTooLong.
  Status feed(std::string_view bytes, std::vector<std::string>& events);

 private:
  void take_line(std::vector<std::string>& events);

  std::size_t limit_;
  std::string line_;
  std::string data_;
  std::size_t event_size_ = 0;
  bool has_data_ = false;
  bool first_line_ = true;
  bool after_return_ = false;  // a CR ended the last line: a LF now belongs to it
};

/// One event. REQUIRES: `data` has no line breaks (JSON on one line has none).
std::string sse_event(std::string_view data);

}  // namespace qwen3guard::gateway
