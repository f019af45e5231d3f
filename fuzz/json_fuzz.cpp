// Any bytes as JSON: an error, or a value that survives being written and read again. What the
// plain library refuses is refused here too.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "bytes/json.h"
#include "bytes/utf8.h"

using namespace qwen3guard;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = bytes::parse_json(text);
  if (!value.ok()) {
    QG_CHECK(!value.error().message.empty() && value.error().message.size() < 1000);
    QG_CHECK(!bytes::find_invalid_utf8(value.error().message));
    return 0;
  }
  QG_CHECK(nlohmann::json::parse(text, nullptr, false) == *value);
  const auto again = bytes::parse_json(value->dump());
  QG_CHECK(again.ok());
  QG_CHECK(*again == *value);
  return 0;
}
