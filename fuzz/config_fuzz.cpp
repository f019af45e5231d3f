// config.json: any bytes give a configuration whose sizes hold together, or an error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bytes/json.h"
#include "model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = qwen3guard::bytes::parse_json(text, {.max_bytes = 1u << 20, .max_depth = 32});
  if (!json.ok()) return 0;
  const auto config = qwen3guard::model::parse_config(*json);
  if (!config.ok()) {
    if (config.error().message.empty()) std::abort();
    return 0;
  }
  if (config->heads % config->kv_heads != 0 || config->head_dim % 2 != 0 ||
      config->hidden_size == 0) {
    std::abort();
  }
  return 0;
}
