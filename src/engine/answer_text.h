// The text of an answer that a model is writing: bytes of tokens in, text that is certain out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qwen3guard::engine {

/// Holds back the beginning of a character, and of a stop string, until what follows decides. Bytes
/// that are not UTF-8 become U+FFFD, one for each longest beginning of a character, as the
/// reference decodes them. How bytes are cut into calls does not change the text.
class AnswerText {
 public:
  /// REQUIRES: stop strings are not empty and UTF-8.
  explicit AnswerText(std::vector<std::string> stop) : stop_(std::move(stop)) {}

  /// Takes the model's bytes. Of several stop strings the one that is complete first ends the text,
  /// the longest of those. REQUIRES: !stopped().
  std::string append(std::string_view bytes);
  /// Takes bytes in which stop strings are not looked for; decides what was held for one.
  std::string insert(std::string_view bytes);
  /// Nothing follows: the rest of the text. REQUIRES: !stopped().
  std::string finish();

  /// A stop string is complete; the text before it has been given out.
  bool stopped() const { return stopped_; }
  /// Something waits for what follows. REQUIRES: !stopped().
  bool holds() const { return !character_.empty() || !held_.empty(); }

 private:
  void decode(std::string_view bytes);

  std::vector<std::string> stop_;
  std::string character_;  // the beginning of one
  std::string held_;       // whole characters that may begin a stop string
  bool stopped_ = false;
};

}  // namespace qwen3guard::engine
