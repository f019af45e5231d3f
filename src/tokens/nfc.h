// NFC, and where each byte of the result came from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qwen3guard::tokens {

/// One sequence that normalization rewrote: bytes [norm_begin, norm_end) of the result stand for
/// bytes [source_begin, source_end) of the text. Between edits the two run in step.
struct NfcEdit {
  std::size_t norm_begin, norm_end;
  std::size_t source_begin, source_end;
};

struct Normalized {
  /// The text in NFC; a view of the given text when `edits` is empty, else of `storage`.
  std::string_view text(std::string_view source) const {
    return edits.empty() ? source : std::string_view(storage);
  }
  std::string storage;
  std::vector<NfcEdit> edits;  // ascending, disjoint
};

/// REQUIRES: `text` is well-formed UTF-8. Linear, except for sorting long runs of combining marks
/// (n log n); text that is in NFC already is only read.
Normalized normalize_nfc(std::string_view text);

/// How many bytes of `text` no later text can change, so that they can be normalised now and for
/// ever. REQUIRES: well-formed; an earlier call has looked at the first `seen` bytes and kept them
/// all.
std::size_t nfc_stable_prefix(std::string_view text, std::size_t seen);

}  // namespace qwen3guard::tokens
