// What the readers of JSON share: positions, limits and errors around nlohmann's event parser
// (private to bytes/).
#pragma once

#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "bytes/json.h"
#include "bytes/quote.h"
#include "bytes/utf8.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// Input of the event parser that tells how far it has read: the parser itself tells only when it
/// fails.
class JsonCursor {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  JsonCursor() = default;
  JsonCursor(const char* at, const char** read) : at_(at), read_(read) {}

  reference operator*() const { return *at_; }
  JsonCursor& operator++() {
    *read_ = ++at_;
    return *this;
  }
  JsonCursor operator++(int) {
    JsonCursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const JsonCursor& other) const { return at_ == other.at_; }

 private:
  const char* at_ = nullptr;
  const char** read_ = nullptr;
};

/// "line 3, column 7" of the byte at `offset`, both from 1, columns in bytes.
std::string json_position(std::string_view text, std::size_t offset);

/// Base of the event handlers: counts values and depth, keeps the first error. A derived class
/// declares the events and calls enter/leave/value first in them.
class JsonHandler {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  JsonHandler(std::string_view text, const JsonLimits& limits)
      : text_(text), limits_(limits), read_(text.data()) {}

  /// Event: a syntax error. The parser's message repeats the whole offending token: cut that.
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::json::exception& error);

 protected:
  /// Records an error at the place that the parser has reached, and stops the parser.
  bool fail(ErrorCode code, const std::string& what);
  bool count_value();
  bool enter();
  void leave() { --depth_; }
  std::size_t depth() const { return depth_; }

  template <typename Handler>
  static std::optional<Error> run(Handler& handler) {
    JsonHandler& self = handler;
    const std::string_view text = self.text_;
    if (text.size() > self.limits_.max_bytes) {
      return Error{ErrorCode::kTooLong, "JSON text has " + byte_count(text.size()) +
                                            ", expected at most " +
                                            byte_count(self.limits_.max_bytes)};
    }
    if (const auto bad = find_invalid_utf8(text)) {
      return Error{ErrorCode::kInvalidUtf8, json_position(text, *bad) + ": byte " +
                                                std::to_string(*bad) +
                                                " is not valid UTF-8; save the text as UTF-8"};
    }
    const bool complete =
        nlohmann::json::sax_parse(JsonCursor(text.data(), &self.read_),
                                  JsonCursor(text.data() + text.size(), &self.read_), &handler);
    if (!complete && !self.error_) self.fail(ErrorCode::kInvalidJson, "not valid JSON");
    return self.error_;
  }

 private:
  std::string_view text_;
  JsonLimits limits_;
  const char* read_;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
  std::optional<Error> error_;
};

}  // namespace qwen3guard::bytes
