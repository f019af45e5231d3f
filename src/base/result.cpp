#include "qwen3guard/result.h"

namespace qwen3guard {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kInvalidJson:
      return "invalid_json";
    case ErrorCode::kInvalidUtf8:
      return "invalid_utf8";
    case ErrorCode::kInvalidConversation:
      return "invalid_conversation";
    case ErrorCode::kTooLong:
      return "too_long";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kIo:
      return "io_error";
    case ErrorCode::kCorruptFile:
      return "corrupt_file";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kUnparseableVerdict:
      return "unparseable_verdict";
    case ErrorCode::kNonFinite:
      return "non_finite";
    case ErrorCode::kOverloaded:
      return "overloaded";
    case ErrorCode::kInvalidState:
      return "invalid_state";
    case ErrorCode::kTimeout:
      return "timeout";
  }
  return "internal";
}

}  // namespace qwen3guard
