#include "tokens/nfc.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "tokens/unicode.h"
#include "tokens/utf8.h"

namespace qwen3guard::tokens {
namespace {

/// NFC of one run that begins at a boundary (or at the start of the text).
std::string normalize_run(std::string_view run) {
  const UnicodeTable& table = UnicodeTable::instance();
  std::vector<char32_t> codes;
  for (const char* p = run.data(); p < run.data() + run.size();) {
    append_decomposition(codes, decode_utf8(p));
  }
  const auto ccc = [&table](char32_t c) { return table[c].combining_class(); };
  for (auto it = codes.begin(); it != codes.end();) {
    if (ccc(*it) == 0) {
      ++it;
      continue;
    }
    const auto end = std::find_if(it, codes.end(), [&](char32_t c) { return ccc(c) == 0; });
    std::stable_sort(it, end, [&](char32_t a, char32_t b) { return ccc(a) < ccc(b); });
    it = end;
  }

  std::vector<char32_t> composed;
  std::size_t starter = SIZE_MAX;
  std::uint8_t last_class = 0;
  for (const char32_t c : codes) {
    const std::uint8_t k = ccc(c);
    if (starter != SIZE_MAX && (starter + 1 == composed.size() || last_class < k)) {
      if (const char32_t whole = compose(composed[starter], c); whole != 0) {
        composed[starter] = whole;
        continue;
      }
    }
    if (k == 0) starter = composed.size();
    last_class = k;
    composed.push_back(c);
  }
  std::string out;
  for (const char32_t c : composed) append_utf8(out, c);
  return out;
}

/// Bytes of the whole characters with which both begin.
std::size_t common_prefix(std::string_view a, std::string_view b) {
  std::size_t same = 0;
  while (same < a.size() && same < b.size() && a[same] == b[same]) ++same;
  while (same > 0 && ((same < a.size() && is_continuation(a[same])) ||
                      (same < b.size() && is_continuation(b[same])))) {
    --same;
  }
  return same;
}

/// Skips ASCII eight bytes at a time.
const char* skip_ascii(const char* p, const char* end) {
  while (end - p >= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    word &= 0x8080808080808080u;
    if (word != 0) return p + (std::countr_zero(word) >> 3);
    p += 8;
  }
  while (p < end && static_cast<unsigned char>(*p) < 0x80) ++p;
  return p;
}

}  // namespace

Normalized normalize_nfc(std::string_view text) {
  static_assert(std::endian::native == std::endian::little, "skip_ascii counts from the low byte");
  const UnicodeTable& table = UnicodeTable::instance();
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  Normalized result;
  std::size_t copied = 0;  // source bytes already in result.storage

  const char* run = begin;  // the last boundary: where a run that needs work begins
  std::uint8_t last_class = 0;
  for (const char* p = begin; p < end;) {
    if (static_cast<unsigned char>(*p) < 0x80) {
      p = skip_ascii(p, end);
      run = p - 1;
      last_class = 0;
      continue;
    }
    const char* const here = p;
    const CharInfo info = table[decode_utf8(p)];
    const std::uint8_t k = info.combining_class();
    if (info.nfc_boundary()) {
      run = here;
      last_class = 0;
    }
    if (!info.nfc_suspect() && (k == 0 || k >= last_class)) {
      last_class = k;
      continue;
    }
    // Something may change: normalise from the last boundary to the next one.
    while (p < end) {
      const char* next = p;
      if (table[decode_utf8(next)].nfc_boundary()) break;
      p = next;
    }
    std::string_view before(run, static_cast<std::size_t>(p - run));
    const std::string normalized = normalize_run(before);
    if (normalized != before) {
      const std::size_t same = common_prefix(before, normalized);
      before.remove_prefix(same);
      const std::string_view after = std::string_view(normalized).substr(same);
      run += same;
      const auto source = static_cast<std::size_t>(run - begin);
      result.storage.append(text, copied, source - copied);
      const std::size_t norm = result.storage.size();
      result.storage += after;
      copied = source + before.size();
      result.edits.push_back({norm, result.storage.size(), source, copied});
    }
    run = p;
    last_class = 0;
  }
  if (!result.edits.empty()) result.storage.append(text, copied);
  return result;
}

std::size_t nfc_stable_prefix(std::string_view text, std::size_t seen) {
  const UnicodeTable& table = UnicodeTable::instance();
  for (std::size_t end = text.size(); end > seen;) {
    std::size_t begin = end - 1;
    while (is_continuation(text[begin])) --begin;
    const char* p = text.data() + begin;
    const CharInfo info = table[decode_utf8(p)];
    if (info.nfc_boundary()) return info.nfc_open() ? begin : end;
    end = begin;
  }
  return 0;
}

}  // namespace qwen3guard::tokens
