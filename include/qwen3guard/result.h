// Errors as values. Anything that input can cause (a file, a message, an option) comes back as an
// Error; only our own bugs abort. Libraries never print.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace qwen3guard {

/// What kind of thing went wrong. The names are persisted in JSON output ("error": {"code": …}):
/// never rename one, only add.
enum class ErrorCode {
  kInvalidArgument,      // an option or a call that makes no sense
  kInvalidJson,          // text that is not the JSON we expect
  kInvalidUtf8,          // bytes that are not UTF-8
  kInvalidConversation,  // no messages, an unknown role, turns in an impossible order
  kTooLong,              // more tokens or bytes than the model or a limit takes
  kNotFound,             // a file, tensor or label that should be there is not
  kIo,                   // the operating system refused to read or write
  kCorruptFile,          // a file whose bytes contradict themselves
  kUnsupported,          // well-formed, but not something this program can do
  kUnparseableVerdict,   // generated text that is not a verdict
  kNonFinite,            // NaN or infinity where a number was needed
  kOverloaded,           // a limit on work in progress is reached; trying later may help
  kInvalidState,         // a session used after its end, a roll-back past its start
  kTimeout,              // somebody else did not answer in time
};

/// Stable snake_case name of `code`, as written to JSON.
std::string_view error_code_name(ErrorCode code);

/// What, where, expected, found and what to do, in one or two sentences for a person.
struct Error {
  ErrorCode code;
  std::string message;

  /// The same error, its message prefixed with "context: ".
  Error with_context(std::string_view context) && {
    message.insert(0, std::string(context) + ": ");
    return std::move(*this);
  }
};

/// A value or an Error. REQUIRES: ok() before value(), !ok() before error().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

/// Success or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const& { return error_; }
  Error error() && { return std::move(error_); }

 private:
  Error error_{};
  bool ok_ = true;
};

}  // namespace qwen3guard
