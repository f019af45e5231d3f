// Builds rendered text: what the template writes as control, and everything else.
#pragma once

#include <string_view>
#include <utility>

#include "tokens/chat_template.h"

namespace qwen3guard::tokens {

class Rendering {
 public:
  /// Ordinary text; whatever it holds stays text.
  ByteSpan text(std::string_view piece) {
    const std::size_t begin = out_.text.size();
    out_.text += piece;
    return {begin, out_.text.size()};
  }
  /// One added token written by the template.
  void control(std::string_view token) { out_.control.push_back(text(token)); }

  std::size_t size() const { return out_.text.size(); }
  void end_turn(std::size_t begin) { out_.turns.push_back({begin, size()}); }
  /// The last message's content, without its first `skipped` bytes.
  void last_content(ByteSpan span, std::size_t skipped) {
    out_.last_content = span;
    out_.content_source = skipped;
  }
  RenderedConversation take() && { return std::move(out_); }

 private:
  RenderedConversation out_;
};

}  // namespace qwen3guard::tokens
