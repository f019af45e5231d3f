// Streams the rows of a labelled set from .jsonl or .jsonl.gz.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "dataset/labelled_conversation.h"
#include "qwen3guard/result.h"

namespace qwen3guard::dataset {

/// Reads one row at a time; never holds more than one line. Errors name file:line.
class LabelledReader {
 public:
  /// Errors: kNotFound, kIo.
  static Result<LabelledReader> open(const std::filesystem::path& path);

  LabelledReader(LabelledReader&&) noexcept;
  LabelledReader& operator=(LabelledReader&&) noexcept;
  ~LabelledReader();

  /// The next row, or none at the end of the file. Errors: kInvalidJson and others of the parser,
  /// kCorruptFile (damaged or cut compression, an empty line), kTooLong (a line beyond 16 MB).
  Result<std::optional<LabelledConversation>> next();
  /// Rows returned so far.
  std::size_t rows() const;

 private:
  struct State;
  explicit LabelledReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Calls `visit` with every row of the file and returns their exact number.
Result<std::size_t> for_each_row(const std::filesystem::path& path,
                                 const std::function<Status(LabelledConversation)>& visit);

}  // namespace qwen3guard::dataset
