// What the scripted upstream writes, and what became of it on its way to a client.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qwen3guard::bench {

/// The first `count` pieces of a harmless text without an end: one word each, about a token, in
/// numbered sentences. Neighbours differ, so that pieces that change places change the text.
std::vector<std::string> script(std::size_t count);

/// Counts of pieces.
struct Damage {
  std::size_t dropped = 0;
  std::size_t added = 0;
  std::size_t reordered = 0;

  Damage& operator+=(const Damage& other);
};

/// Compares the text that a client got with the pieces that were written. Only where it is said to
/// be the whole text are pieces missed at its end.
Damage compare(const std::vector<std::string>& pieces, std::string_view received, bool whole);

}  // namespace qwen3guard::bench
