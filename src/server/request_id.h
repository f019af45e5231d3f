// Names for requests, streams and answers.
#pragma once

#include <string>
#include <string_view>

namespace qwen3guard::server {

/// `prefix` and 128 random bits from the operating system: nobody can guess somebody else's.
std::string random_id(std::string_view prefix);

/// `given` if it may stand in a header and in a log (1 to 128 letters, digits and any of ._-), else
/// a new one.
std::string request_id(std::string_view given);

}  // namespace qwen3guard::server
