#include "bytes/other_format.h"

#include <algorithm>
#include <string>

namespace qwen3guard::bytes {

std::optional<Error> other_format(std::span<const std::byte> bytes, std::string_view expected) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<std::size_t>(bytes.size(), 64));
  const auto refuse = [&](std::string_view found, std::string_view advice) {
    return Error{ErrorCode::kUnsupported, "this is " + std::string(found) + ", expected " +
                                              std::string(expected) + std::string(advice)};
  };
  if (start.starts_with("version https://git-lfs")) {
    return Error{
        ErrorCode::kUnsupported,
        "this is a Git LFS pointer, not the file itself; run 'git lfs pull' or download the file"};
  }
  if (start.starts_with("PK\x03\x04")) {
    return refuse("a zip archive (a PyTorch .bin?)", "; convert the checkpoint");
  }
  if (start.starts_with("<!DOCTYPE") || start.starts_with("<html")) {
    return refuse("a web page", "; the download failed");
  }
  if (start.starts_with("GGUF") && expected != "GGUF") return refuse("a GGUF file", "");
  if (start.size() > 8 && start[8] == '{' && expected != "safetensors") {
    return refuse("a safetensors file, to all appearances", "");
  }
  return std::nullopt;
}

}  // namespace qwen3guard::bytes
