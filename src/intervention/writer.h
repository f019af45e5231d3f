// Where the text of an answer comes from: a local model, or whatever else can be told to go back.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "qwen3guard/generator.h"
#include "qwen3guard/result.h"

namespace qwen3guard::intervention {

/// Whole characters; between two pieces the answer may be cut.
struct Piece {
  std::string text;
  std::size_t tokens = 0;
};

/// Writes one answer, piece by piece.
class Writer {
 public:
  virtual ~Writer() = default;

  /// The next piece, inserted text included; none once the answer has ended.
  virtual Result<std::optional<Piece>> next() = 0;
  /// Forgets the tokens from `tokens` on, also after the end, and goes on otherwise than before.
  /// REQUIRES: a piece ended there, or 0.
  virtual Status roll_back(std::size_t tokens) = 0;
  /// Writes `text` into the answer as if it had come by itself. kTooLong where it has no place.
  virtual Status insert(std::string_view text) = 0;
  /// Answers `question` by itself, apart from this answer, with `tokens` tokens at most. kTooLong
  /// where it has no place.
  virtual Result<std::string> ask(std::string_view question, std::size_t tokens) = 0;

  /// Tokens written so far, whatever became of them.
  virtual std::size_t generated_tokens() const = 0;
  /// REQUIRES: next() gave none last.
  virtual FinishReason finish() const = 0;
};

}  // namespace qwen3guard::intervention
