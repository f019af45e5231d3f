#include "apps/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "bytes/utf8.h"
#include "tokens/utf8.h"

namespace qwen3guard::apps {
namespace {

bool is_harmful(char32_t code) {
  if (code == '\n' || code == '\t') return false;
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ||        // C0, DEL, C1
         code == 0x061C || code == 0x200E || code == 0x200F ||  // bidirectional marks
         (code >= 0x2028 && code <= 0x202E) ||                  // separators, embeddings, overrides
         (code >= 0x2066 && code <= 0x206F) || code == 0xFEFF ||  // isolates, deprecated formats
         (code >= 0xFFF9 && code <= 0xFFFB) ||                    // interlinear annotation
         (code >= 0xE0000 && code <= 0xE007F);                    // invisible tags
}

}  // namespace

bool wants_colour(int descriptor, ColourChoice choice) {
  if (choice != ColourChoice::kAuto) return choice == ColourChoice::kAlways;
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return ::isatty(descriptor) == 1;
}

std::string_view Palette::text(Risk risk) const {
  switch (risk) {
    case Risk::kSafe:
      return code("\x1b[32m");
    case Risk::kControversial:
      return code("\x1b[33m");
    case Risk::kUnsafe:
      return code("\x1b[31m");
  }
  return {};
}

std::string_view Palette::label(Risk risk) const {
  switch (risk) {
    case Risk::kSafe:
      return code("\x1b[30;42m");
    case Risk::kControversial:
      return code("\x1b[30;43m");
    case Risk::kUnsafe:
      return code("\x1b[97;41m");
  }
  return {};
}

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto escape = [&out](const char* format, unsigned value) {
    char escaped[16];
    std::snprintf(escaped, sizeof escaped, format, value);
    out += escaped;
  };
  while (!text.empty()) {
    const std::size_t valid = bytes::find_invalid_utf8(text).value_or(text.size());
    for (const char* p = text.data(); p < text.data() + valid;) {
      const char* const begin = p;
      const char32_t code = tokens::decode_utf8(p);
      if (!is_harmful(code)) {
        out.append(begin, p);
      } else {
        escape(code < 0x80      ? "\\x%02x"
               : code < 0x10000 ? "\\u%04x"
                                : "\\U%08x",
               static_cast<unsigned>(code));
      }
    }
    if (valid < text.size()) escape("\\x%02x", static_cast<unsigned char>(text[valid]));
    text.remove_prefix(std::min(valid + 1, text.size()));
  }
  return out;
}

}  // namespace qwen3guard::apps
