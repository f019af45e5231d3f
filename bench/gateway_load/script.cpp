#include "gateway_load/script.h"

#include <algorithm>
#include <array>
#include <map>

namespace qwen3guard::bench {
namespace {

// Every piece but the first begins with a space.
std::vector<std::string> pieces_of(std::string_view text) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' ', 1), text.size());
    pieces.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return pieces;
}

std::size_t longest_common_subsequence(const std::vector<std::string>& a,
                                       const std::vector<std::string>& b) {
  std::vector<std::size_t> lengths(b.size() + 1);
  for (const std::string& piece : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = lengths[j + 1];
      lengths[j + 1] = piece == b[j] ? diagonal + 1 : std::max(above, lengths[j]);
      diagonal = above;
    }
  }
  return lengths.back();
}

}  // namespace

std::vector<std::string> script(std::size_t count) {
  static constexpr std::array<const char*, 10> kSentence = {
      "Page", "", "read", "one", "chapter", "and", "write", "down", "new", "words."};
  std::vector<std::string> pieces;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t word = i % kSentence.size();
    pieces.push_back(i == 0 ? "" : " ");
    pieces.back() +=
        word == 1 ? std::to_string(i / kSentence.size() + 1) + ":" : std::string(kSentence[word]);
  }
  return pieces;
}

Damage& Damage::operator+=(const Damage& other) {
  dropped += other.dropped;
  added += other.added;
  reordered += other.reordered;
  return *this;
}

Damage compare(const std::vector<std::string>& pieces, std::string_view received, bool whole) {
  std::string written;
  for (const std::string& piece : pieces) written += piece;
  if (whole ? received == written : written.starts_with(received)) return {};

  const std::vector<std::string> got = pieces_of(received);
  std::vector<std::string> wanted = pieces;
  if (!whole) {
    // Up to where the last piece that came stood, which is not before its place in `got`.
    const auto place = pieces.begin() + std::min(pieces.size(), got.size() - 1);
    const auto last = std::find(place, pieces.end(), got.back());
    wanted.assign(pieces.begin(), last == pieces.end() ? last : last + 1);
  }
  std::map<std::string_view, std::ptrdiff_t> missing;
  for (const std::string& piece : wanted) ++missing[piece];
  for (const std::string& piece : got) --missing[piece];
  Damage damage;
  for (const auto& [piece, count] : missing) {
    (count > 0 ? damage.dropped : damage.added) += static_cast<std::size_t>(std::abs(count));
  }
  damage.reordered = got.size() - damage.added - longest_common_subsequence(wanted, got);
  return damage;
}

}  // namespace qwen3guard::bench
