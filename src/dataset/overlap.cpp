#include "dataset/overlap.h"

#include "bytes/utf8.h"
#include "tokens/utf8.h"

namespace qwen3guard::dataset {
namespace {

constexpr std::uint64_t kOffset = 0xcbf29ce484222325ULL;
constexpr std::uint64_t kPrime = 0x100000001b3ULL;

/// Scripts without spaces: each character stands for a word.
bool is_ideograph(char32_t c) {
  return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF);
}

/// Beyond ASCII only punctuation and symbols that part words are told apart from letters.
bool is_word(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
  return c >= 0xC0 && !(c >= 0x2000 && c <= 0x2BFF) && !(c >= 0x3000 && c <= 0x303F) &&
         !(c >= 0xFF00 && c <= 0xFF0F) && !(c >= 0xFF1A && c <= 0xFF20);
}

/// Hashes of the words. Ill-formed UTF-8 has none: it cannot equal a text of a set.
std::vector<std::uint64_t> words_of(std::string_view text) {
  std::vector<std::uint64_t> words;
  if (bytes::find_invalid_utf8(text)) return words;
  std::uint64_t word = kOffset;
  bool open = false;
  const auto close = [&] {
    if (open) words.push_back(word);
    word = kOffset;
    open = false;
  };
  for (const char *p = text.data(), *end = p + text.size(); p < end;) {
    char32_t c = tokens::decode_utf8(p);
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    const bool alone = is_ideograph(c);
    if (alone || !is_word(c)) close();
    if (!alone && !is_word(c)) continue;
    word = (word ^ c) * kPrime;
    open = true;
    if (alone) close();
  }
  close();
  return words;
}

std::uint64_t hash(const std::uint64_t* words, std::size_t count) {
  std::uint64_t h = kOffset;
  for (std::size_t i = 0; i < count; ++i) h = ((h ^ words[i]) * kPrime) ^ (h >> 29);
  return h;
}

}  // namespace

void OverlapFilter::add(std::string_view text) {
  const auto words = words_of(text);
  if (words.empty()) return;
  whole_.insert(hash(words.data(), words.size()));
  for (std::size_t i = 0; i + kRun <= words.size(); ++i) runs_.insert(hash(&words[i], kRun));
}

bool OverlapFilter::overlaps(std::string_view text) const {
  const auto words = words_of(text);
  if (words.empty()) return false;
  if (whole_.contains(hash(words.data(), words.size()))) return true;
  for (std::size_t i = 0; i + kRun <= words.size(); ++i) {
    if (runs_.contains(hash(&words[i], kRun))) return true;
  }
  return false;
}

}  // namespace qwen3guard::dataset
