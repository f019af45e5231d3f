#include "bytes/gguf_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/try.h"
#include "bytes/quote.h"
#include "bytes/safetensors.h"
#include "bytes/utf8.h"

static_assert(std::endian::native == std::endian::little);

namespace qwen3guard::bytes {
namespace {

constexpr std::string_view kAdvice = "; download the file again";

struct TypeRow {
  GgufType type;
  std::string_view name;
  std::size_t size;
};
constexpr std::array kTypes = {
    TypeRow{GgufType::kU8, "u8", 1},   TypeRow{GgufType::kI8, "i8", 1},
    TypeRow{GgufType::kU16, "u16", 2}, TypeRow{GgufType::kI16, "i16", 2},
    TypeRow{GgufType::kU32, "u32", 4}, TypeRow{GgufType::kI32, "i32", 4},
    TypeRow{GgufType::kF32, "f32", 4}, TypeRow{GgufType::kBool, "bool", 1},
    TypeRow{GgufType::kU64, "u64", 8}, TypeRow{GgufType::kI64, "i64", 8},
    TypeRow{GgufType::kF64, "f64", 8}, TypeRow{GgufType::kString, "string", 8},
};

const TypeRow& row_of(GgufType type) {
  const auto* row = std::find_if(kTypes.begin(), kTypes.end(),
                                 [type](const TypeRow& each) { return each.type == type; });
  QG_CHECK(row != kTypes.end());
  return *row;
}

/// Reads the file from its start. `where_` names what is being read, for messages.
class Scanner {
 public:
  explicit Scanner(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Result<GgufHeader> run() {
    QG_CHECK_OK(frame());
    std::uint64_t tensors = 0;
    std::uint64_t entries = 0;
    // The fewest bytes: a name of one byte, one dimension; a key of one byte, a value of one byte.
    QG_CHECK_OK(count(tensors, "tensors", 8 + 1 + 4 + 8 + 4 + 8, kMaxGgufTensors));
    QG_CHECK_OK(count(entries, "metadata entries", 8 + 1 + 4 + 1, kMaxGgufEntries));
    header_.metadata.reserve(static_cast<std::size_t>(entries));
    for (std::uint64_t i = 0; i < entries; ++i) {
      where_ = "metadata entry " + std::to_string(i);
      QG_CHECK_OK(entry());
    }
    header_.tensors.reserve(static_cast<std::size_t>(tensors));
    for (std::uint64_t i = 0; i < tensors; ++i) {
      where_ = "tensor " + std::to_string(i);
      QG_CHECK_OK(tensor());
    }
    header_.end = at_;
    return std::move(header_);
  }

 private:
  std::uint64_t left() const { return bytes_.size() - at_; }

  Error fail(ErrorCode code, std::uint64_t at, const std::string& what) const {
    return {code, where_ + " (byte " + std::to_string(at) + "): " + what};
  }
  Error corrupt(std::uint64_t at, const std::string& what) const {
    return fail(ErrorCode::kCorruptFile, at, what + std::string(kAdvice));
  }

  Error cut_short(std::string_view what, std::uint64_t needed) const {
    return corrupt(at_, "the file is cut short or damaged: " + std::string(what) + " needs " +
                            byte_count(needed) + ", the file has " + byte_count(left()) +
                            " from here");
  }

  template <typename T>
  Status number(T& out, std::string_view what) {
    if (left() < sizeof out) return cut_short(what, sizeof out);
    std::memcpy(&out, bytes_.data() + at_, sizeof out);
    at_ += sizeof out;
    return {};
  }

  Status string(std::string_view& out, std::string_view what) {
    std::uint64_t length = 0;
    QG_CHECK_OK(number(length, "a length"));
    if (length > left()) return cut_short(what, length);
    out = {reinterpret_cast<const char*>(bytes_.data() + at_), static_cast<std::size_t>(length)};
    if (const auto invalid = find_invalid_utf8(out)) {
      return corrupt(at_ + *invalid, std::string(what) + " is not valid UTF-8");
    }
    at_ += static_cast<std::size_t>(length);
    return {};
  }

  Status frame() {
    where_ = "the frame";
    at_ = kGgufMagic.size();
    QG_CHECK_OK(number(header_.version, "the version"));
    const std::uint32_t version = header_.version;
    if (version == 2 || version == 3) return {};
    const std::size_t at = at_ - sizeof version;
    if (version != 0 && (version & 0xffffu) == 0) {
      return fail(ErrorCode::kUnsupported, at,
                  "this is a big-endian GGUF file, expected little-endian; convert the model again "
                  "without the big-endian option");
    }
    return fail(ErrorCode::kUnsupported, at,
                "GGUF version " + std::to_string(version) +
                    ", expected 2 or 3; convert the model again with a current converter");
  }

  Status count(std::uint64_t& out, const std::string& what, std::uint64_t fewest_bytes,
               std::uint64_t limit) {
    QG_CHECK_OK(number(out, "the number of " + what));
    const std::string found = "the file says that it has " + std::to_string(out) + " " + what;
    const std::size_t at = at_ - sizeof out;
    if (out > left() / fewest_bytes) {
      return corrupt(
          at, found + ", but only " + byte_count(left()) + " follow: it is cut short or damaged");
    }
    if (out > limit) {
      return fail(ErrorCode::kUnsupported, at,
                  found + ", this program takes at most " + std::to_string(limit));
    }
    return {};
  }

  Status entry() {
    GgufEntry entry{};
    const std::size_t start = at_;
    QG_CHECK_OK(string(entry.key, "the key"));
    if (const auto wrong = bad_gguf_key(entry.key)) {
      return corrupt(start, "the key " + quote(entry.key) + " " + std::string(*wrong));
    }
    where_ = "metadata " + quote(entry.key);
    QG_CHECK_OK(value_type(entry, true));
    entry.count = 1;
    if (entry.is_array) {
      QG_CHECK_OK(value_type(entry, false));
      QG_CHECK_OK(number(entry.count, "the number of elements"));
    }
    const std::uint64_t size = gguf_type_size(entry.type);
    if (entry.count > left() / size) {
      return corrupt(at_, "the file is cut short or damaged: it has only " + byte_count(left()) +
                              " for " + entry.type_text());
    }
    if (entry.count > kMaxGgufElements) {
      return fail(ErrorCode::kUnsupported, at_,
                  entry.type_text() + ", this program takes at most " +
                      std::to_string(kMaxGgufElements) + " elements");
    }
    entry.offset = at_;
    QG_CHECK_OK(skip_elements(entry));
    entry.bytes = bytes_.subspan(static_cast<std::size_t>(entry.offset),
                                 at_ - static_cast<std::size_t>(entry.offset));
    header_.metadata.push_back(entry);
    return {};
  }

  Status value_type(GgufEntry& entry, bool may_be_array) {
    std::uint32_t number_in_file = 0;
    QG_CHECK_OK(number(number_in_file, "the type"));
    const std::size_t at = at_ - sizeof number_in_file;
    if (number_in_file == kGgufArrayType) {
      if (!may_be_array) {
        return fail(ErrorCode::kUnsupported, at,
                    "an array of arrays, expected an array of numbers, booleans or strings");
      }
      entry.is_array = true;
      return {};
    }
    const auto type = gguf_type_of(number_in_file);
    if (!type) {
      return corrupt(at, "unknown type " + std::to_string(number_in_file) + ", expected 0 to 12");
    }
    entry.type = *type;
    return {};
  }

  Status skip_elements(const GgufEntry& entry) {
    if (entry.type == GgufType::kString) {
      std::string_view ignored;
      for (std::uint64_t i = 0; i < entry.count; ++i) QG_CHECK_OK(string(ignored, "a string"));
      return {};
    }
    const auto elements =
        bytes_.subspan(at_, static_cast<std::size_t>(entry.count * gguf_type_size(entry.type)));
    if (entry.type == GgufType::kBool) {
      const auto wrong = std::find_if(elements.begin(), elements.end(),
                                      [](std::byte value) { return value > std::byte{1}; });
      if (wrong != elements.end()) {
        return corrupt(
            at_ + static_cast<std::size_t>(wrong - elements.begin()),
            "a boolean of " + std::to_string(std::to_integer<int>(*wrong)) + ", expected 0 or 1");
      }
    }
    at_ += elements.size();
    return {};
  }

  Status tensor() {
    GgufTensorInfo info;
    const std::size_t start = at_;
    QG_CHECK_OK(string(info.name, "the name"));
    if (info.name.empty() || info.name.size() > kMaxGgufName) {
      return corrupt(start, "the name has " + byte_count(info.name.size()) + ", expected 1 to " +
                                std::to_string(kMaxGgufName));
    }
    where_ = "tensor " + quote(info.name);
    QG_CHECK_OK(shape(info));
    QG_CHECK_OK(type_and_size(info));
    QG_CHECK_OK(number(info.offset, "the offset"));
    header_.tensors.push_back(info);
    return {};
  }

  Status shape(GgufTensorInfo& info) {
    std::uint32_t rank = 0;
    QG_CHECK_OK(number(rank, "the number of dimensions"));
    if (rank < 1 || rank > kMaxGgufRank) {
      return corrupt(at_ - sizeof rank, std::to_string(rank) + " dimensions, expected 1 to " +
                                            std::to_string(kMaxGgufRank));
    }
    info.rank = rank;
    for (std::size_t i = rank; i-- > 0;) {  // the file starts with the last dimension
      std::uint64_t dimension = 0;
      QG_CHECK_OK(number(dimension, "a dimension"));
      if (dimension > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return corrupt(at_ - sizeof dimension, "a dimension of " + std::to_string(dimension) +
                                                   ", more than any tensor can have");
      }
      info.shape[i] = static_cast<std::int64_t>(dimension);
    }
    return {};
  }

  Status type_and_size(GgufTensorInfo& info) {
    std::uint32_t number_in_file = 0;
    QG_CHECK_OK(number(number_in_file, "the type"));
    const std::size_t at = at_ - sizeof number_in_file;
    const auto type = ggml_type_of(number_in_file);
    if (!type) {
      return fail(ErrorCode::kUnsupported, at,
                  "tensor type number " + std::to_string(number_in_file) +
                      " is not one that this program knows; quantise the model to Q8_0 or Q4_0");
    }
    info.type = *type;
    const auto dimensions = std::span<const std::int64_t>(info.shape).first(info.rank);
    const std::string found =
        std::string(ggml_type_name(info.type)) + " of shape " + shape_text(dimensions);
    const std::size_t block = block_layout(info.type).elements;
    if (static_cast<std::uint64_t>(dimensions.back()) % block != 0) {
      return corrupt(at, found + ": the last dimension must be a multiple of " +
                             std::to_string(block) + ", the numbers in a block");
    }
    const auto bytes = gguf_tensor_bytes(info.type, dimensions);
    if (!bytes) return corrupt(at, found + " is larger than any memory");
    info.bytes = *bytes;
    return {};
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  std::string where_;
  GgufHeader header_;
};

}  // namespace

Result<GgufHeader> parse_gguf_header(std::span<const std::byte> bytes) {
  return Scanner(bytes).run();
}

std::string_view gguf_type_name(GgufType type) { return row_of(type).name; }

std::size_t gguf_type_size(GgufType type) { return row_of(type).size; }

std::optional<GgufType> gguf_type_of(std::uint32_t number) {
  for (const TypeRow& row : kTypes) {
    if (static_cast<std::uint32_t>(row.type) == number) return row.type;
  }
  return std::nullopt;
}

std::optional<std::string_view> bad_gguf_key(std::string_view key) {
  if (key.empty()) return "is empty";
  if (key.size() > kMaxGgufName) return "is longer than the 65,535 bytes of the format";
  const bool printable =
      std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!printable) return "is not printable ASCII without spaces";
  return std::nullopt;
}

std::optional<std::uint64_t> gguf_tensor_bytes(GgmlType type, std::span<const std::int64_t> shape) {
  std::int64_t rows = 1;
  for (const std::int64_t dimension : shape.first(shape.size() - 1)) {
    if (__builtin_mul_overflow(rows, dimension, &rows)) return std::nullopt;
  }
  const BlockLayout layout = block_layout(type);
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
  const std::int64_t blocks = shape.back() / static_cast<std::int64_t>(layout.elements);
  if (__builtin_mul_overflow(rows, shape.back(), &elements) ||
      __builtin_mul_overflow(blocks, layout.bytes, &bytes) ||
      __builtin_mul_overflow(bytes, rows, &bytes)) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace qwen3guard::bytes
