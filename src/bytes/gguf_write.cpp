#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <type_traits>

#include "base/check.h"
#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/gguf.h"
#include "bytes/gguf_header.h"
#include "bytes/quote.h"
#include "bytes/safetensors.h"
#include "bytes/utf8.h"

namespace qwen3guard::bytes {
namespace {

template <typename T>
constexpr GgufType type_for() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return GgufType::kU8;
  if constexpr (std::is_same_v<T, std::int8_t>) return GgufType::kI8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return GgufType::kU16;
  if constexpr (std::is_same_v<T, std::int16_t>) return GgufType::kI16;
  if constexpr (std::is_same_v<T, std::uint32_t>) return GgufType::kU32;
  if constexpr (std::is_same_v<T, std::int32_t>) return GgufType::kI32;
  if constexpr (std::is_same_v<T, float>) return GgufType::kF32;
  if constexpr (std::is_same_v<T, bool>) return GgufType::kBool;
  if constexpr (std::is_same_v<T, std::string>) return GgufType::kString;
  if constexpr (std::is_same_v<T, std::uint64_t>) return GgufType::kU64;
  if constexpr (std::is_same_v<T, std::int64_t>) return GgufType::kI64;
  if constexpr (std::is_same_v<T, double>) return GgufType::kF64;
}

template <typename T>
void append(std::string& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append(std::string& out, const std::string& text) {
  append(out, std::uint64_t{text.size()});
  out += text;
}

void append(std::string& out, const GgufValue& value) {
  std::visit(
      [&out]<typename T>(const T& held) {
        if constexpr (kIsVector<T>) {
          using Element = typename T::value_type;
          append(out, kGgufArrayType);
          append(out, static_cast<std::uint32_t>(type_for<Element>()));
          append(out, std::uint64_t{held.size()});
          for (const auto& element : held) append(out, static_cast<const Element&>(element));
        } else {
          append(out, static_cast<std::uint32_t>(type_for<T>()));
          append(out, held);
        }
      },
      value);
}

class Writer {
 public:
  Writer(const std::filesystem::path& path, const GgufMetadata& metadata,
         std::span<const GgufTensorToWrite> tensors)
      : path_(path), metadata_(metadata), tensors_(tensors) {}

  Status run() {
    QG_CHECK_OK(check_counts());
    QG_CHECK_OK(check_metadata());
    QG_CHECK_OK(check_tensors());
    QG_TRY(AtomicFile file, AtomicFile::create(path_));
    const std::string text = header();
    QG_CHECK_OK(file.write(text));
    QG_CHECK_OK(pad(file, text.size()));
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      QG_CHECK_OK(write_data(file, tensors_[i], sizes_[i]));
    }
    return file.commit();
  }

 private:
  Error refuse(ErrorCode code, const std::string& what) const {
    return {code, "cannot write " + quote_path(path_) + ": " + what};
  }
  Error invalid(const std::string& what) const { return refuse(ErrorCode::kInvalidArgument, what); }

  Status check_counts() const {
    if (metadata_.size() > kMaxGgufEntries || tensors_.size() > kMaxGgufTensors) {
      return refuse(ErrorCode::kTooLong,
                    std::to_string(metadata_.size()) + " metadata entries and " +
                        std::to_string(tensors_.size()) + " tensors, expected at most " +
                        std::to_string(kMaxGgufEntries) + " of each; split the file");
    }
    return {};
  }

  Status check_metadata() const {
    std::set<std::string_view> keys;
    for (const auto& entry : metadata_) {
      const std::string& key = entry.first;  // clang 14 captures no structured binding
      if (const auto wrong = bad_gguf_key(key)) {
        return invalid("the key " + quote(key) + " " + std::string(*wrong));
      }
      if (key == kGgufAlignmentKey)
        return invalid("the key " + quote(key) + " is the writer's own");
      if (!keys.insert(key).second) return invalid("the key " + quote(key) + " is given twice");
      QG_CHECK_OK(
          std::visit([&](const auto& held) { return check_value(key, held); }, entry.second));
    }
    return {};
  }

  template <typename T>
  Status check_value(const std::string& key, const T& value) const {
    if constexpr (std::is_same_v<T, std::string>) {
      if (find_invalid_utf8(value)) return invalid("the text of " + quote(key) + " is not UTF-8");
    } else if constexpr (kIsVector<T>) {
      if (value.size() > kMaxGgufElements) {
        return refuse(ErrorCode::kTooLong, quote(key) + " has " + std::to_string(value.size()) +
                                               " elements, expected at most " +
                                               std::to_string(kMaxGgufElements));
      }
      for (const auto& element : value) {
        QG_CHECK_OK(check_value(key, static_cast<const typename T::value_type&>(element)));
      }
    }
    return {};
  }

  /// Fills sizes_ too.
  Status check_tensors() {
    std::set<std::string_view> names;
    for (const GgufTensorToWrite& tensor : tensors_) {
      const std::string who = "tensor " + quote(tensor.name);
      if (tensor.name.empty() || tensor.name.size() > kMaxGgufTensorName) {
        return invalid("the name of " + who + " has " + byte_count(tensor.name.size()) +
                       ", expected 1 to " + std::to_string(kMaxGgufTensorName));
      }
      if (find_invalid_utf8(tensor.name)) return invalid("the name of " + who + " is not UTF-8");
      if (!names.insert(tensor.name).second) return invalid(who + " is given twice");
      QG_CHECK_OK(check_shape(who, tensor));
      const auto size = gguf_tensor_bytes(tensor.type, tensor.shape);
      QG_CHECK(size.has_value());
      const auto* data = std::get_if<std::span<const std::byte>>(&tensor.data);
      QG_CHECK(data == nullptr || data->size() == *size);
      sizes_.push_back(*size);
    }
    return {};
  }

  Status check_shape(const std::string& who, const GgufTensorToWrite& tensor) const {
    const std::vector<std::int64_t>& shape = tensor.shape;
    if (shape.empty() || shape.size() > kMaxGgufRank) {
      return invalid(who + " has " + std::to_string(shape.size()) + " dimensions, expected 1 to " +
                     std::to_string(kMaxGgufRank));
    }
    QG_CHECK(std::all_of(shape.begin(), shape.end(), [](std::int64_t size) { return size >= 0; }));
    const std::size_t block = block_layout(tensor.type).elements;
    if (static_cast<std::uint64_t>(shape.back()) % block != 0) {
      return invalid(who + " of shape " + shape_text(shape) + " cannot be " +
                     std::string(ggml_type_name(tensor.type)) +
                     ": the last dimension must be a multiple of " + std::to_string(block) +
                     "; choose another type");
    }
    return {};
  }

  std::string header() const {
    std::string out(kGgufMagic);
    append(out, std::uint32_t{3});
    append(out, std::uint64_t{tensors_.size()});
    append(out, std::uint64_t{metadata_.size()});
    for (const auto& [key, value] : metadata_) {
      append(out, key);
      append(out, value);
    }
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const GgufTensorToWrite& tensor = tensors_[i];
      append(out, tensor.name);
      append(out, static_cast<std::uint32_t>(tensor.shape.size()));
      for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
        append(out, static_cast<std::uint64_t>(*size));
      }
      append(out, static_cast<std::uint32_t>(tensor.type));
      append(out, offset);
      offset += gguf_padded(sizes_[i], kGgufDefaultAlignment);
    }
    return out;
  }

  static Status write_data(AtomicFile& file, const GgufTensorToWrite& tensor, std::uint64_t size) {
    if (const auto* data = std::get_if<std::span<const std::byte>>(&tensor.data)) {
      QG_CHECK_OK(file.write(*data));
    } else {
      std::uint64_t written = 0;
      QG_CHECK_OK(std::get<GgufProducer>(tensor.data)([&](std::span<const std::byte> piece) {
        written += piece.size();
        QG_CHECK(written <= size);
        return file.write(piece);
      }));
      QG_CHECK(written == size);
    }
    return pad(file, size);
  }

  static Status pad(AtomicFile& file, std::uint64_t size) {
    static constexpr std::array<std::byte, kGgufDefaultAlignment> kZeros{};
    const std::uint64_t missing = gguf_padded(size, kGgufDefaultAlignment) - size;
    return file.write(std::span(kZeros).first(static_cast<std::size_t>(missing)));
  }

  const std::filesystem::path& path_;
  const GgufMetadata& metadata_;
  std::span<const GgufTensorToWrite> tensors_;
  std::vector<std::uint64_t> sizes_;  // bytes of each tensor
};

}  // namespace

Status write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                  std::span<const GgufTensorToWrite> tensors) {
  return Writer(path, metadata, tensors).run();
}

}  // namespace qwen3guard::bytes
