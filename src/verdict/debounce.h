// One odd token is not a verdict: two in a row are.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "qwen3guard/verdict.h"

namespace qwen3guard::verdict {

/// Where a sequence of token labels is flagged so far. Labels are what the policy made of the
/// model's (mapping comes first, debouncing second).
class Debouncer {
 public:
  struct Flag {
    std::size_t token;
    Decision action;
    bool operator==(const Flag&) const = default;
  };

  explicit Debouncer(DebounceRule rule) : rule_(rule) {}

  void push(TokenLabel label);
  /// Forgets all labels from `size` on, as after a roll-back.
  void truncate(std::size_t size);
  std::size_t size() const { return labels_.size(); }

  /// The first flag that blocks, else the first that only reports, in the rule's order.
  std::optional<Flag> flag() const;

 private:
  // Pairs of the rule in order of preference: kPaper has one kind, kOfficialEval Unsafe before
  // Controversial.
  std::optional<std::size_t> pair_kind(std::size_t token) const;
  void record(std::size_t token);

  DebounceRule rule_;
  std::vector<TokenLabel> labels_;
  // First token of each [action blocks or only flags][pair kind].
  std::array<std::array<std::optional<std::size_t>, 2>, 2> first_{};
};

}  // namespace qwen3guard::verdict
