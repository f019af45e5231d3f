#include "bytes/safetensors_header.h"

#include <limits>
#include <optional>
#include <utility>

#include "bytes/json_scan.h"

namespace qwen3guard::bytes {
namespace {

constexpr std::string_view kAdvice = "; download the file again";

/// Fills the Header straight from parser events: a JSON tree of a hostile 100 MB header would take
/// gigabytes.
class HeaderHandler : public JsonHandler {
 public:
  HeaderHandler(std::string_view text, const JsonLimits& limits) : JsonHandler(text, limits) {}

  static Result<Header> parse(std::string_view text) {
    // The states allow three levels and say better what is wrong with a fourth; limits on tensors
    // and ranks do what a limit on values would.
    HeaderHandler handler(text, {.max_bytes = kMaxHeaderBytes,
                                 .max_depth = 4,
                                 .max_values = std::numeric_limits<std::size_t>::max()});
    if (auto error = run(handler)) {
      // Whatever is wrong with the JSON, what the user has is a damaged file.
      if (error->code != ErrorCode::kUnsupported) error->code = ErrorCode::kCorruptFile;
      return std::move(*error).with_context("safetensors header");
    }
    return std::move(handler.header_);
  }

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) {
    return in_list() ? bad(std::string(list_name()) + " holds the negative number " +
                           std::to_string(value))
                     : unexpected("a number");
  }
  bool number_unsigned(number_unsigned_t value) {
    if (!in_list()) return unexpected("a number");
    if (state_ == State::kShape) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return bad("shape holds " + std::to_string(value) + ", more than any tensor can have");
      }
      if (entry_.shape.size() == kMaxRank) {
        return bad("shape has more than " + std::to_string(kMaxRank) + " dimensions");
      }
      entry_.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (offsets_seen_ == 2) return bad("data_offsets has more than 2 numbers");
    (offsets_seen_++ == 0 ? entry_.begin : entry_.end) = value;
    return true;
  }
  bool number_float(number_float_t, const string_t& text) {
    return in_list() ? bad(std::string(list_name()) + " holds " + quote(text, 40) +
                           ", expected a whole number below 2^63")
                     : unexpected("a number");
  }
  bool binary(binary_t&) { return unexpected("a binary value"); }

  bool string(string_t& value) {
    if (state_ == State::kMetadata) {
      if (!header_.metadata.emplace(key_, std::move(value)).second) {
        return bad("key " + quote(key_) + " appears twice");
      }
      return true;
    }
    if (state_ != State::kTensor || field_ != Field::kDType) return unexpected("a string");
    const auto dtype = parse_dtype(value);
    if (!dtype) {
      return fail(
          ErrorCode::kUnsupported,
          where() + "dtype " + quote(value, 40) +
              " is not one that this program knows; convert the checkpoint to BF16, F16 or F32");
    }
    entry_.dtype = *dtype;
    return true;
  }

  bool start_object(std::size_t) {
    if (!enter()) return false;
    if (state_ == State::kStart) {
      state_ = State::kTop;
    } else if (state_ == State::kTop) {
      state_ = key_ == kMetadataKey ? State::kMetadata : State::kTensor;
      entry_ = HeaderEntry{.name = key_};
      fields_seen_ = 0;
      offsets_seen_ = 0;
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool end_object() {
    leave();
    if (state_ == State::kTensor) {
      if (fields_seen_ != kAllFields) {
        return bad("expected dtype, shape and data_offsets, found only some of them");
      }
      if (header_.tensors.size() == kMaxTensors) {
        return fail(ErrorCode::kUnsupported,
                    "more than " + std::to_string(kMaxTensors) + " tensors in one file");
      }
      header_.tensors.push_back(std::move(entry_));
    }
    state_ = State::kTop;  // at the very end nothing follows
    return true;
  }

  bool start_array(std::size_t) {
    if (!enter()) return false;
    if (state_ != State::kTensor || field_ == Field::kDType) return unexpected("a list");
    state_ = field_ == Field::kShape ? State::kShape : State::kOffsets;
    return true;
  }

  bool end_array() {
    leave();
    if (state_ == State::kOffsets && offsets_seen_ != 2) {
      return bad("data_offsets has " + std::to_string(offsets_seen_) + " numbers, expected 2");
    }
    state_ = State::kTensor;
    return true;
  }

  bool key(string_t& name) {
    if (state_ != State::kTensor) {
      if (state_ == State::kTop && name == kMetadataKey && std::exchange(metadata_seen_, true)) {
        return bad("__metadata__ appears twice");
      }
      key_ = std::move(name);
      return true;
    }
    if (name == "dtype") {
      field_ = Field::kDType;
    } else if (name == "shape") {
      field_ = Field::kShape;
    } else if (name == "data_offsets") {
      field_ = Field::kOffsets;
    } else {
      return bad("unknown field " + quote(name, 40) + ", expected dtype, shape and data_offsets");
    }
    const unsigned bit = 1u << static_cast<unsigned>(field_);
    if (fields_seen_ & bit) return bad("field " + quote(name) + " appears twice");
    fields_seen_ |= bit;
    return true;
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };
  enum class Field { kDType, kShape, kOffsets };
  static constexpr unsigned kAllFields = 7;

  bool in_list() const { return state_ == State::kShape || state_ == State::kOffsets; }
  std::string_view list_name() const { return state_ == State::kShape ? "shape" : "data_offsets"; }

  /// Which part of the header the parser is in, as a prefix.
  std::string where() const {
    switch (state_) {
      case State::kStart:
      case State::kTop:
        return "";
      case State::kMetadata:
        return "__metadata__: ";
      case State::kTensor:
      case State::kShape:
      case State::kOffsets:
        return "tensor " + quote(entry_.name) + ": ";
    }
    return "";
  }
  bool bad(const std::string& what) {
    return fail(ErrorCode::kCorruptFile, where() + what + std::string(kAdvice));
  }

  bool unexpected(std::string_view found) {
    std::string expected;
    switch (state_) {
      case State::kStart:
        expected = "expected an object";
        break;
      case State::kTop:
        expected = quote(key_) + ": expected an object";
        break;
      case State::kMetadata:
        expected = quote(key_) + ": expected a string";
        break;
      case State::kShape:
      case State::kOffsets:
        expected = std::string(list_name()) + ": expected whole numbers";
        break;
      case State::kTensor:
        expected = field_ == Field::kDType   ? "dtype: expected a string"
                   : field_ == Field::kShape ? "shape: expected a list"
                                             : "data_offsets: expected a list";
        break;
    }
    return bad(expected + ", found " + std::string(found));
  }

  Header header_;
  State state_ = State::kStart;
  Field field_ = Field::kDType;
  std::string key_;  // the last key of the header or of __metadata__
  bool metadata_seen_ = false;
  HeaderEntry entry_;
  unsigned fields_seen_ = 0;
  unsigned offsets_seen_ = 0;
};

}  // namespace

Result<Header> parse_header(std::string_view text) { return HeaderHandler::parse(text); }

}  // namespace qwen3guard::bytes
