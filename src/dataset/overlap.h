// Keeps rows that resemble evaluation text out of training.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace qwen3guard::dataset {

/// Remembers texts and says whether another one shares its whole wording or a long run of words
/// with any of them. Letter case, spaces and punctuation do not count; a Chinese or Japanese
/// character counts as a word.
class OverlapFilter {
 public:
  /// Words in a row that make an overlap.
  static constexpr std::size_t kRun = 8;

  void add(std::string_view text);
  bool overlaps(std::string_view text) const;

 private:
  std::unordered_set<std::uint64_t> runs_;
  std::unordered_set<std::uint64_t> whole_;
};

}  // namespace qwen3guard::dataset
