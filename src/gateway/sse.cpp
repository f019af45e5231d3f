#include "gateway/sse.h"

#include <utility>

#include "base/check.h"
#include "bytes/quote.h"

namespace qwen3guard::gateway {

Status SseReader::feed(std::string_view bytes, std::vector<std::string>& events) {
  while (!bytes.empty()) {
    if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1);
    after_return_ = false;
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    event_size_ += part.size();
    if (event_size_ > limit_) {
      return Error{ErrorCode::kTooLong,
                   "an event of the stream has more than " + bytes::byte_count(limit_)};
    }
    line_ += part;
    if (end == bytes.npos) return {};
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    take_line(events);
  }
  return {};
}

void SseReader::take_line(std::vector<std::string>& events) {
  std::string_view line = line_;
  if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    if (has_data_) events.push_back(std::move(data_));
    data_.clear();
    has_data_ = false;
    event_size_ = 0;
  } else if (line == "data" || line.starts_with("data:")) {
    line.remove_prefix(line == "data" ? 4 : 5);
    if (line.starts_with(" ")) line.remove_prefix(1);
    if (has_data_) data_ += '\n';
    data_ += line;
    has_data_ = true;
  }
  line_.clear();
}

std::string sse_event(std::string_view data) {
  QG_CHECK(data.find_first_of("\r\n") == data.npos);
  return "data: " + std::string(data) + "\n\n";
}

}  // namespace qwen3guard::gateway
