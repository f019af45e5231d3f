// Typed reads of metadata. The bytes were checked when the file was opened.
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/try.h"
#include "bytes/gguf.h"
#include "bytes/gguf_header.h"
#include "bytes/quote.h"

namespace qwen3guard::bytes {
namespace {

/// For messages.
template <typename T>
std::string wanted() {
  if constexpr (kIsVector<T>) {
    return "an array of " + wanted<typename T::value_type>();
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    return "string";
  } else if constexpr (std::is_same_v<T, bool>) {
    return "bool";
  } else if constexpr (std::is_same_v<T, double>) {
    return "f32 or f64";
  } else {
    return std::string(std::is_signed_v<T> ? "i" : "u") + std::to_string(8 * sizeof(T));
  }
}

Error refuse(const GgufEntry& entry, const std::string& what) {
  return {ErrorCode::kUnsupported, "metadata " + quote(entry.key) + " (byte " +
                                       std::to_string(entry.offset) + "): " + what +
                                       "; convert the model again"};
}

/// Gives each element to `take`, until that fails. `Stored` is the type in the file.
template <typename Stored, typename Take>
Status each_number(const GgufEntry& entry, Take take) {
  for (std::size_t i = 0; i < entry.count; ++i) {
    Stored value;
    std::memcpy(&value, entry.bytes.data() + i * sizeof value, sizeof value);
    QG_CHECK_OK(take(value));
  }
  return {};
}

template <typename Take>
Status each_string(const GgufEntry& entry, Take take) {
  const std::byte* at = entry.bytes.data();
  for (std::uint64_t i = 0; i < entry.count; ++i) {
    std::uint64_t length;
    std::memcpy(&length, at, sizeof length);
    at += sizeof length;
    take(std::string_view(reinterpret_cast<const char*>(at), static_cast<std::size_t>(length)));
    at += length;
  }
  return {};
}

/// REQUIRES: readable_as<T>(entry.type), as below.
template <typename T, typename Take>
Status each_integer(const GgufEntry& entry, Take take) {
  const auto checked = [&](auto value) -> Status {
    if (!std::in_range<T>(value)) {
      return refuse(entry, "expected " + wanted<T>() + ", found " + std::to_string(value) +
                               ", which does not fit");
    }
    take(static_cast<T>(value));
    return {};
  };
  switch (entry.type) {
    case GgufType::kU8:
      return each_number<std::uint8_t>(entry, checked);
    case GgufType::kI8:
      return each_number<std::int8_t>(entry, checked);
    case GgufType::kU16:
      return each_number<std::uint16_t>(entry, checked);
    case GgufType::kI16:
      return each_number<std::int16_t>(entry, checked);
    case GgufType::kU32:
      return each_number<std::uint32_t>(entry, checked);
    case GgufType::kI32:
      return each_number<std::int32_t>(entry, checked);
    case GgufType::kU64:
      return each_number<std::uint64_t>(entry, checked);
    case GgufType::kI64:
      return each_number<std::int64_t>(entry, checked);
    case GgufType::kF32:
    case GgufType::kF64:
    case GgufType::kBool:
    case GgufType::kString:
      break;
  }
  QG_CHECK(false);
  return {};
}

template <typename T>
bool readable_as(GgufType type) {
  const bool is_float = type == GgufType::kF32 || type == GgufType::kF64;
  if constexpr (std::is_same_v<T, std::string_view>) return type == GgufType::kString;
  if constexpr (std::is_same_v<T, bool>) return type == GgufType::kBool;
  if constexpr (std::is_same_v<T, double>) return is_float;
  return !is_float && type != GgufType::kString && type != GgufType::kBool;
}

/// Gives each element as a T to `take`. REQUIRES: readable_as<T>(entry.type).
template <typename T, typename Take>
Status each(const GgufEntry& entry, Take take) {
  const auto widened = [&](auto value) -> Status {
    take(static_cast<T>(value));
    return {};
  };
  if constexpr (std::is_same_v<T, std::string_view>) {
    return each_string(entry, take);
  } else if constexpr (std::is_same_v<T, bool>) {
    return each_number<std::uint8_t>(entry, widened);
  } else if constexpr (std::is_same_v<T, double>) {
    return entry.type == GgufType::kF32 ? each_number<float>(entry, widened)
                                        : each_number<double>(entry, widened);
  } else {
    return each_integer<T>(entry, take);
  }
}

/// T, or what a vector T holds.
template <typename T>
struct ElementOf {
  using type = T;
};
template <typename T>
struct ElementOf<std::vector<T>> {
  using type = T;
};

}  // namespace

std::string GgufEntry::type_text() const {
  const std::string name(gguf_type_name(type));
  return is_array ? "array of " + std::to_string(count) + " " + name : name;
}

template <typename T>
Result<T> GgufEntry::as() const {
  using Element = typename ElementOf<T>::type;
  if (is_array != kIsVector<T> || !readable_as<Element>(type)) {
    return refuse(*this, "expected " + wanted<T>() + ", found " + type_text());
  }
  T value{};
  if constexpr (kIsVector<T>) {
    value.reserve(static_cast<std::size_t>(count));
    QG_CHECK_OK(each<Element>(*this, [&](Element element) { value.push_back(element); }));
  } else {
    QG_CHECK_OK(each<Element>(*this, [&](Element element) { value = element; }));
  }
  return value;
}

#define QG_INSTANTIATE(T)                      \
  template Result<T> GgufEntry::as<T>() const; \
  template Result<std::vector<T>> GgufEntry::as<std::vector<T>>() const
QG_INSTANTIATE(std::string_view);
QG_INSTANTIATE(bool);
QG_INSTANTIATE(std::int32_t);
QG_INSTANTIATE(std::uint32_t);
QG_INSTANTIATE(std::int64_t);
QG_INSTANTIATE(std::uint64_t);
QG_INSTANTIATE(double);
#undef QG_INSTANTIATE

}  // namespace qwen3guard::bytes
