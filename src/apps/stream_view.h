// How a conversation looks while it is being judged: coloured text, plain text with markers, or
// JSON.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "apps/output.h"
#include "apps/terminal.h"
#include "qwen3guard/guard.h"

namespace qwen3guard::apps {

/// Told what happens, in order: prompt, then tokens and flags, then end or failure.
class StreamView {
 public:
  virtual ~StreamView() = default;

  /// The prompt was judged; not called where none was given.
  virtual Status prompt(std::string_view text, const Verdict& verdict) = 0;
  /// A token whose text may be seen. `text` is what no earlier token has shown: the texts of all
  /// tokens together are the response. `risk`: the worst of the tokens that share the text's
  /// characters.
  virtual Status token(const JudgedToken& token, std::string_view text, Risk risk) = 0;
  /// The response is flagged at `token`, whose text comes next, or is withheld because this is the
  /// end.
  virtual Status flag(const JudgedToken& token, const Verdict& verdict, bool withheld) = 0;
  /// The last call. `stopped`: at the flag, by request.
  virtual Status end(const Verdict& prompt, const Verdict& response, bool stopped) = 0;
  /// Instead of end(): the response cannot be judged (further).
  virtual Status failed(const Error& error) = 0;
};

/// For people. Colours where the palette has them, else markers: "[Unsafe> … <]".
std::unique_ptr<StreamView> text_view(Output& output, const Guard& guard, Palette palette);
/// One object a line: docs/formats/moderation.md.
std::unique_ptr<StreamView> json_view(Output& output, const Guard& guard);

}  // namespace qwen3guard::apps
