// Colours where they are wanted, and untrusted text made harmless for a terminal.
#pragma once

#include <string>
#include <string_view>

#include "qwen3guard/verdict.h"

namespace qwen3guard::apps {

enum class ColourChoice { kAuto, kAlways, kNever };

/// Whether output to `descriptor` is coloured: for kAuto, when it is a terminal other than "dumb"
/// and NO_COLOR (https://no-color.org) is unset or empty.
bool wants_colour(int descriptor, ColourChoice choice);

/// Select Graphic Rendition sequences from the 16 base colours, which every theme, light or dark,
/// keeps readable; all are empty strings without colour.
class Palette {
 public:
  explicit Palette(bool colour) : colour_(colour) {}

  bool colour() const { return colour_; }
  std::string_view reset() const { return code("\x1b[0m"); }
  std::string_view bold() const { return code("\x1b[1m"); }
  std::string_view dim() const { return code("\x1b[2m"); }
  /// Red and struck through.
  std::string_view struck() const { return code("\x1b[9;31m"); }
  /// Foreground of text with this verdict: green, yellow, red.
  std::string_view text(Risk risk) const;
  /// A filled label with this verdict.
  std::string_view label(Risk risk) const;

 private:
  std::string_view code(std::string_view sequence) const {
    return colour_ ? sequence : std::string_view();
  }
  bool colour_;
};

/// `text` with everything escaped that a terminal could obey or that could disguise the text:
/// control characters other than newline and tab (\x1b), C1 controls and bidirectional overrides
/// (\u202e), bytes that are not UTF-8 (\xff). Whole characters only: cut between characters,
/// escape, and join as you like.
std::string escape_controls(std::string_view text);

}  // namespace qwen3guard::apps
