// Errors as HTTP answers, in the shape of OpenAI's.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "qwen3guard/result.h"
#include "server/http.h"

namespace qwen3guard::server {

/// {"error": {"message", "type", "param": null, "code"}}. 503 carries Retry-After.
Response error_response(int status, std::string_view code, std::string_view message);
/// 429 in OpenAI's words, with Retry-After.
Response rate_limited(std::chrono::seconds retry_after, std::string_view message);
/// The status says whose fault it is: 4xx the request's, 503 too much work, 500 ours.
Response error_response(const Error& error);

}  // namespace qwen3guard::server
