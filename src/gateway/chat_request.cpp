#include "gateway/chat_request.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "server/chat_messages.h"
#include "server/json_field.h"

namespace qwen3guard::gateway {
namespace {

std::optional<int> hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

}  // namespace

Result<ChatRequest> parse_chat_request(std::string_view body, std::size_t most_choices) {
  QG_TRY(const nlohmann::json parsed, server::parse_body(body));
  const server::JsonField fields(parsed);
  ChatRequest request;
  if (const server::JsonField n = fields["n"]; !n.missing()) {
    const std::size_t count = n->is_number_unsigned() ? n->get<std::size_t>() : 0;
    if (count < 1 || count > most_choices) {
      return n.expected("a number from 1 to " + std::to_string(most_choices));
    }
    request.choices = count;
  }
  QG_TRY(request.model, fields["model"].text_or(""));
  QG_TRY(request.prompt, server::parse_messages(fields["messages"]));
  if (request.prompt.back().role == Role::kAssistant) {
    request.prefill = std::move(request.prompt.back());
    request.prompt.pop_back();
  }
  if (request.prompt.empty()) {
    return fields["messages"].invalid("expected a message before the assistant's");
  }
  // Only users' messages are judged as prompts, and whatever stands last asks for the answer.
  request.prompt.back().role = Role::kUser;
  request.prompt.back().reasoning_content.reset();
  return request;
}

std::optional<std::string> canonical_path(std::string_view path) {
  std::string decoded;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      decoded += path[i];
      continue;
    }
    if (i + 2 >= path.size() || !hex(path[i + 1]) || !hex(path[i + 2])) return std::nullopt;
    decoded += static_cast<char>(*hex(path[i + 1]) * 16 + *hex(path[i + 2]));
    i += 2;
  }
  if (decoded.find('\0') != std::string::npos) return std::nullopt;
  std::replace(decoded.begin(), decoded.end(), '\\', '/');
  std::string canonical;
  for (std::size_t at = 0; at < decoded.size();) {
    const std::size_t end = std::min(decoded.find('/', at), decoded.size());
    const std::string part = decoded.substr(at, end - at);
    if (part == "." || part == "..") return std::nullopt;
    if (!part.empty()) canonical += "/" + part;
    at = end + 1;
  }
  return canonical;
}

bool is_chat_path(std::string_view canonical) {
  std::string lower(canonical);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower.ends_with("/chat/completions");
}

}  // namespace qwen3guard::gateway
