#include "engine/answer_text.h"

#include <algorithm>
#include <utility>

#include "bytes/utf8.h"

namespace qwen3guard::engine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Bytes at the start of `text`, which begins no character, that are the beginning of one; at least
// 1.
std::size_t ill_formed_size(std::string_view text) {
  for (std::size_t size = std::min<std::size_t>(3, text.size()); size > 1; --size) {
    if (bytes::utf8_character_size(text.substr(0, size)) != 0) return size;
  }
  return 1;
}

}  // namespace

void AnswerText::decode(std::string_view bytes) {
  character_ += bytes;
  std::string_view rest = character_;
  while (!rest.empty()) {
    const std::size_t size = bytes::utf8_character_size(rest);
    if (size > rest.size()) break;
    const std::size_t taken = size == 0 ? ill_formed_size(rest) : size;
    held_ += size == 0 ? kReplacement : rest.substr(0, taken);
    rest.remove_prefix(taken);
  }
  character_.erase(0, character_.size() - rest.size());
}

std::string AnswerText::append(std::string_view bytes) {
  decode(bytes);
  std::size_t begin = std::string::npos, end = std::string::npos;
  for (const std::string& stop : stop_) {
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    if (at + stop.size() < end || (at + stop.size() == end && at < begin)) {
      begin = at;
      end = at + stop.size();
    }
  }
  if (end != std::string::npos) {
    stopped_ = true;
    return held_.substr(0, begin);
  }
  std::size_t keep = 0;
  for (const std::string& stop : stop_) {
    std::size_t size = std::min(stop.size() - 1, held_.size());
    while (size > keep && !held_.ends_with(std::string_view(stop).substr(0, size))) --size;
    keep = std::max(keep, size);
  }
  const std::string certain = held_.substr(0, held_.size() - keep);
  held_.erase(0, certain.size());
  return certain;
}

std::string AnswerText::insert(std::string_view bytes) {
  decode(bytes);
  return std::exchange(held_, {});
}

std::string AnswerText::finish() {
  if (!character_.empty()) held_ += kReplacement;
  character_.clear();
  return std::exchange(held_, {});
}

}  // namespace qwen3guard::engine
