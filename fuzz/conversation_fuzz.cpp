// A line of JSONL: either a conversation that the templates can render without giving its content
// any control token, or an error that can be reported as a line of JSON.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "apps/terminal.h"
#include "bytes/utf8.h"
#include "formats/conversation_json.h"
#include "formats/verdict_json.h"
#include "tokens/chat_template.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Control spans hold what the template wrote: in order, inside the text, none in the judged
// content.
void check(const qwen3guard::Result<qwen3guard::tokens::RenderedConversation>& rendered) {
  if (!rendered.ok()) return;
  std::size_t end = 0;
  for (const auto& span : rendered->control) {
    require(span.begin >= end && span.end > span.begin && span.end <= rendered->text.size());
    end = span.end;
    const auto& content = rendered->last_content;
    require(span.end <= content.begin || span.begin >= content.end);
  }
  require(!qwen3guard::bytes::find_invalid_utf8(rendered->text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qwen3guard;
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  const std::string shown = apps::escape_controls(text);
  require(!bytes::find_invalid_utf8(shown));
  require(std::none_of(shown.begin(), shown.end(), [](char byte) {
    const auto code = static_cast<unsigned char>(byte);
    return (code < 0x20 && byte != '\n' && byte != '\t') || code == 0x7F;
  }));

  const formats::ConversationLine line = formats::parse_conversation_line(text);
  if (line.id) require(line.id->is_string() || line.id->is_number());
  if (!line.conversation.ok()) {
    const std::string report = formats::error_line(line.id.value_or(1), line.conversation.error());
    require(report.find('\n') == std::string::npos);
    const auto parsed = nlohmann::json::parse(report, nullptr, false);
    require(parsed.is_object() && parsed["error"]["message"].is_string());
    if (line.id) require(parsed["id"] == *line.id);
    return 0;
  }
  require(!line.conversation->empty());
  for (const Message& message : *line.conversation)
    require(!bytes::find_invalid_utf8(message.content));
  check(tokens::render_chatml(*line.conversation, {}));
  check(tokens::render_gen(*line.conversation, tokens::GenTemplate::kClean));
  check(tokens::render_gen(*line.conversation, tokens::GenTemplate::kCompatible));
  return 0;
}
