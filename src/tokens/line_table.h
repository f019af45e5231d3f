// A read-mostly hash table of small integers in which nearly every look-up touches one cache line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace qwen3guard::tokens {

/// Keys of 64 - kValueBits bits, values of kValueBits bits. Cells of a line fill up in order; what
/// does not fit goes to the next line. Look-ups compare a whole line without branching, because
/// which cell matches is unpredictable. Tokenizing is a sequence of such look-ups, most of them for
/// keys that are not there.
template <int kValueBits>
class LineTable {
 public:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};

  /// Room for `entries`, which must not be exceeded. No key and value may be all ones together.
  explicit LineTable(std::size_t entries = 0) : lines_(entries / 5 + 1) {
    for (Line& line : lines_) line.cells.fill(kFree);
  }

  /// The cell (key << kValueBits | value) of `key`, or kFree.
  std::uint64_t find(std::uint64_t key) const {
    for (std::size_t i = line_of(key);; i = next(i)) {
      const Line& line = lines_[i];
      std::uint64_t hit = kFree;
      for (const std::uint64_t cell : line.cells) hit = cell >> kValueBits == key ? cell : hit;
      if (hit != kFree || line.cells.back() == kFree) return hit;
    }
  }

  /// REQUIRES: the key is not there.
  void insert(std::uint64_t key, std::uint64_t value) {
    for (std::size_t i = line_of(key);; i = next(i)) {
      for (std::uint64_t& cell : lines_[i].cells) {
        if (cell != kFree) continue;
        cell = key << kValueBits | value;
        return;
      }
    }
  }

  /// Calls `change` with a reference to every used cell; it may change the value.
  template <typename Change>
  void for_each(Change change) {
    for (Line& line : lines_) {
      for (std::uint64_t& cell : line.cells) {
        if (cell != kFree) change(cell);
      }
    }
  }

 private:
  struct alignas(64) Line {
    std::array<std::uint64_t, 8> cells;
  };

  std::size_t line_of(std::uint64_t key) const {
    const std::uint64_t hash = key * 0x9E3779B97F4A7C15u >> 32;
    return static_cast<std::size_t>(hash * lines_.size() >> 32);
  }
  std::size_t next(std::size_t i) const { return i + 1 < lines_.size() ? i + 1 : 0; }

  std::vector<Line> lines_;
};

}  // namespace qwen3guard::tokens
