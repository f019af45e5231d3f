#include "tokens/unicode.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "tokens/unicode_tables.inc"

namespace qwen3guard::tokens {
namespace {

namespace tables = unicode_tables;

constexpr char32_t kCodePoints = 0x110000;
constexpr char32_t kHangulS = 0xAC00, kHangulL = 0x1100, kHangulV = 0x1161, kHangulT = 0x11A7;
constexpr char32_t kHangulLCount = 19, kHangulVCount = 21, kHangulTCount = 28;
constexpr char32_t kHangulSCount = kHangulLCount * kHangulVCount * kHangulTCount;

const tables::Decomposition* find_decomposition(char32_t code) {
  const auto* found =
      std::lower_bound(std::begin(tables::kDecomposition), std::end(tables::kDecomposition), code,
                       [](const tables::Decomposition& d, char32_t c) { return d.code < c; });
  return found != std::end(tables::kDecomposition) && found->code == code ? found : nullptr;
}

}  // namespace

const UnicodeTable& UnicodeTable::instance() {
  static const UnicodeTable table;
  return table;
}

UnicodeTable::UnicodeTable() {
  std::vector<std::uint16_t> flat(kCodePoints, CharInfo::kBoundary);
  const auto mark_class = [&flat](const auto& ranges, CharClass char_class) {
    for (const auto& range : ranges) {
      for (char32_t c = range.first; c <= range.last; ++c) {
        flat[c] = static_cast<std::uint16_t>(flat[c] | static_cast<unsigned>(char_class));
      }
    }
  };
  mark_class(tables::kLetter, CharClass::kLetter);
  mark_class(tables::kNumber, CharClass::kNumber);
  mark_class(tables::kWhitespace, CharClass::kSpace);

  const auto set = [&flat](char32_t c, unsigned bits) {
    flat[c] = static_cast<std::uint16_t>(flat[c] | bits);
  };
  const auto no_boundary = [&flat](char32_t c) {
    flat[c] = static_cast<std::uint16_t>(flat[c] & ~CharInfo::kBoundary);
  };
  for (const auto& range : tables::kCombiningClass) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      set(c, CharInfo::kOpen | static_cast<unsigned>(range.ccc) << 8);
      no_boundary(c);
    }
  }
  for (const auto& pair : tables::kComposition) {
    set(pair.first, CharInfo::kOpen);
    set(pair.second, CharInfo::kOpen | CharInfo::kSuspect);
    no_boundary(pair.second);
  }
  for (char32_t i = 0; i < kHangulLCount; ++i) set(kHangulL + i, CharInfo::kOpen);
  for (char32_t s = 0; s < kHangulSCount; s += kHangulTCount) set(kHangulS + s, CharInfo::kOpen);
  const auto second_of_hangul = [&](char32_t c) {
    set(c, CharInfo::kOpen | CharInfo::kSuspect);
    no_boundary(c);
  };
  for (char32_t i = 0; i < kHangulVCount; ++i) second_of_hangul(kHangulV + i);
  for (char32_t i = 1; i < kHangulTCount; ++i) second_of_hangul(kHangulT + i);

  std::vector<char32_t> parts;
  for (const auto& entry : tables::kDecomposition) {
    set(entry.code, CharInfo::kOpen);
    const bool kept = entry.second != 0 && compose(entry.first, entry.second) == entry.code;
    parts.clear();
    append_decomposition(parts, entry.code);
    // It is a boundary if what it begins with is one: then nothing reaches into it.
    const CharInfo first(flat[parts.front()]);
    if (!kept) set(entry.code, CharInfo::kSuspect);
    if (!first.nfc_boundary()) no_boundary(entry.code);
  }

  // Equal blocks of 256 are stored once.
  std::map<std::vector<std::uint16_t>, std::uint16_t> seen;
  for (char32_t begin = 0; begin < kCodePoints; begin += 256) {
    std::vector<std::uint16_t> block(flat.begin() + begin, flat.begin() + begin + 256);
    const auto [found, fresh] = seen.emplace(block, static_cast<std::uint16_t>(seen.size()));
    if (fresh) cells_.insert(cells_.end(), block.begin(), block.end());
    block_.push_back(found->second);
  }
}

void append_decomposition(std::vector<char32_t>& out, char32_t code) {
  if (code >= kHangulS && code < kHangulS + kHangulSCount) {
    const char32_t s = code - kHangulS;
    out.push_back(kHangulL + s / (kHangulVCount * kHangulTCount));
    out.push_back(kHangulV + s % (kHangulVCount * kHangulTCount) / kHangulTCount);
    if (s % kHangulTCount != 0) out.push_back(kHangulT + s % kHangulTCount);
    return;
  }
  // The table gives one step, (rest, last): the tail is collected backwards.
  const std::size_t begin = out.size();
  while (const auto* entry = find_decomposition(code)) {
    if (entry->second != 0) out.push_back(entry->second);
    code = entry->first;
  }
  out.push_back(code);
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end());
}

char32_t compose(char32_t first, char32_t second) {
  if (first >= kHangulL && first < kHangulL + kHangulLCount && second >= kHangulV &&
      second < kHangulV + kHangulVCount) {
    return kHangulS + ((first - kHangulL) * kHangulVCount + (second - kHangulV)) * kHangulTCount;
  }
  if (first >= kHangulS && first < kHangulS + kHangulSCount &&
      (first - kHangulS) % kHangulTCount == 0 && second > kHangulT &&
      second < kHangulT + kHangulTCount) {
    return first + (second - kHangulT);
  }
  const auto* found = std::lower_bound(
      std::begin(tables::kComposition), std::end(tables::kComposition), std::pair(first, second),
      [](const tables::Composition& c, const std::pair<char32_t, char32_t>& key) {
        return std::pair(c.first, c.second) < key;
      });
  return found != std::end(tables::kComposition) && found->first == first && found->second == second
             ? found->composed
             : 0;
}

char contraction_letter(char32_t code) {
  if (code < 0x80) {
    return static_cast<char>(code >= 'A' && code <= 'Z' ? code - 'A' + 'a' : code);
  }
  for (const auto& fold : tables::kFold) {
    if (fold.code == code) return fold.ascii;
  }
  return 0;
}

}  // namespace qwen3guard::tokens
