#include "server/errors.h"

#include <nlohmann/json.hpp>

#include "formats/verdict_json.h"

namespace qwen3guard::server {
namespace {

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kInvalidJson:
    case ErrorCode::kInvalidUtf8:
    case ErrorCode::kInvalidConversation:
    case ErrorCode::kUnsupported:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kInvalidState:
      return 409;
    case ErrorCode::kTooLong:
      return 413;
    case ErrorCode::kOverloaded:
      return 503;
    case ErrorCode::kTimeout:
      return 504;
    case ErrorCode::kIo:
    case ErrorCode::kCorruptFile:
    case ErrorCode::kUnparseableVerdict:
    case ErrorCode::kNonFinite:
      return 500;
  }
  return 500;
}

}  // namespace

Response error_response(int status, std::string_view code, std::string_view message) {
  const char* type = status == 401   ? "authentication_error"
                     : status == 429 ? "requests"
                     : status >= 500 ? "server_error"
                                     : "invalid_request_error";
  formats::OrderedJson json;
  json["error"] = {{"message", message}, {"type", type}, {"param", nullptr}, {"code", code}};
  Response response{status, formats::to_line(json)};
  if (status == 503) response.headers.push_back({"Retry-After", "1"});
  return response;
}

Response rate_limited(std::chrono::seconds retry_after, std::string_view message) {
  const std::string seconds = std::to_string(retry_after.count());
  Response response = error_response(429, "rate_limit_exceeded",
                                     std::string(message) + "; try again in " + seconds + " s");
  response.headers.push_back({"Retry-After", seconds});
  return response;
}

Response error_response(const Error& error) {
  return error_response(status_of(error.code), error_code_name(error.code), error.message);
}

}  // namespace qwen3guard::server
