// The web page (web/dist), embedded by the build.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace qwen3guard::server {

struct PageFile {
  std::string_view name;    // below web/dist
  std::string_view digest;  // SHA-256, hexadecimal
  const unsigned char* bytes;
  std::size_t size;
};

std::span<const PageFile> page_files();

}  // namespace qwen3guard::server
