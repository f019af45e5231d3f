// GGUF files made by hand, right or wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace qwen3guard::bytes::testing {

template <typename T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::string raw_text(std::string_view text) {
  return raw(std::uint64_t{text.size()}).append(text);
}

/// A key and its value; `type` is the number in the file.
inline std::string raw_entry(std::string_view key, std::uint32_t type, std::string_view value) {
  return raw_text(key).append(raw(type)).append(value);
}

inline std::string raw_array(std::uint32_t type, std::uint64_t count, std::string_view elements) {
  return raw(type).append(raw(count)).append(elements);
}

/// `dimensions` as in the file: the last one first.
inline std::string raw_tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                              std::uint32_t type, std::uint64_t offset) {
  std::string bytes = raw_text(name).append(raw(static_cast<std::uint32_t>(dimensions.size())));
  for (const std::uint64_t dimension : dimensions) bytes += raw(dimension);
  return bytes.append(raw(type)).append(raw(offset));
}

inline std::string raw_header(const std::vector<std::string>& entries,
                              const std::vector<std::string>& tensors, std::uint32_t version = 3) {
  std::string bytes = "GGUF" + raw(version) + raw(std::uint64_t{tensors.size()}) +
                      raw(std::uint64_t{entries.size()});
  for (const std::string& entry : entries) bytes += entry;
  for (const std::string& tensor : tensors) bytes += tensor;
  return bytes;
}

/// The whole file, with `data_bytes` bytes of data.
inline std::string gguf_bytes(const std::vector<std::string>& entries,
                              const std::vector<std::string>& tensors, std::size_t data_bytes,
                              std::size_t alignment = 32) {
  std::string bytes = raw_header(entries, tensors);
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
  return bytes.append(data_bytes, '\1');
}

}  // namespace qwen3guard::bytes::testing
