#include "bytes/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "base/try.h"
#include "bytes/other_format.h"
#include "bytes/quote.h"
#include "bytes/safetensors_header.h"

// Tensor bytes are used in place.
static_assert(std::endian::native == std::endian::little);

namespace qwen3guard::bytes {
namespace {

constexpr std::size_t kLengthBytes = 8;

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array kDTypes = {
    DTypeRow{DType::kBool, "BOOL", 1},      DTypeRow{DType::kU8, "U8", 1},
    DTypeRow{DType::kI8, "I8", 1},          DTypeRow{DType::kF8E5M2, "F8_E5M2", 1},
    DTypeRow{DType::kF8E4M3, "F8_E4M3", 1}, DTypeRow{DType::kI16, "I16", 2},
    DTypeRow{DType::kU16, "U16", 2},        DTypeRow{DType::kF16, "F16", 2},
    DTypeRow{DType::kBF16, "BF16", 2},      DTypeRow{DType::kI32, "I32", 4},
    DTypeRow{DType::kU32, "U32", 4},        DTypeRow{DType::kF32, "F32", 4},
    DTypeRow{DType::kI64, "I64", 8},        DTypeRow{DType::kU64, "U64", 8},
    DTypeRow{DType::kF64, "F64", 8},
};

constexpr bool rows_follow_enum() {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].dtype != static_cast<DType>(i)) return false;
  }
  return true;
}
static_assert(rows_follow_enum());

const DTypeRow& row_of(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)]; }

Error corrupt(std::string what) {
  return {ErrorCode::kCorruptFile, std::move(what) + "; download the file again"};
}

Error corrupt_tensor(const HeaderEntry& tensor, const std::string& what) {
  return corrupt("tensor " + quote(tensor.name) + ": " + what);
}

/// The bytes that dtype and shape ask for, or nothing if no 64-bit number can hold them.
std::optional<std::uint64_t> bytes_needed(const HeaderEntry& tensor) {
  std::uint64_t total = dtype_size(tensor.dtype);
  bool empty = false;
  for (const std::int64_t dimension : tensor.shape) {
    empty |= dimension == 0;
    if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(dimension), &total)) {
      // A later zero does not excuse it: elements() multiplies in order.
      return std::nullopt;
    }
  }
  return empty ? 0 : total;
}

/// Checks sizes and that the tensors, sorted by their data, cover `data_bytes` without overlap or
/// hole.
Status check_layout(const std::vector<HeaderEntry>& tensors, std::uint64_t data_bytes) {
  std::uint64_t covered = 0;
  const HeaderEntry* before = nullptr;
  for (const HeaderEntry& tensor : tensors) {
    const std::string span =
        "data_offsets [" + std::to_string(tensor.begin) + ", " + std::to_string(tensor.end) + "]";
    if (tensor.begin > tensor.end) return corrupt_tensor(tensor, span + " end before they begin");
    if (tensor.end > data_bytes) {
      return corrupt_tensor(tensor, span + " lie outside the file, which has " +
                                        byte_count(data_bytes) +
                                        " of tensor data: it is cut short or damaged");
    }
    const auto needed = bytes_needed(tensor);
    if (!needed) {
      return corrupt_tensor(tensor,
                            "shape " + shape_text(tensor.shape) + " is larger than any memory");
    }
    if (*needed != tensor.end - tensor.begin) {
      return corrupt_tensor(tensor, "dtype " + std::string(dtype_name(tensor.dtype)) +
                                        " and shape " + shape_text(tensor.shape) + " need " +
                                        byte_count(*needed) + ", but " + span + " hold " +
                                        byte_count(tensor.end - tensor.begin));
    }
    if (tensor.begin < covered) {
      return corrupt_tensor(tensor, span + " overlap tensor " + quote(before->name) +
                                        ", which ends at " + std::to_string(covered));
    }
    if (tensor.begin > covered) {
      return corrupt_tensor(tensor, span + " leave a hole of " +
                                        byte_count(tensor.begin - covered) +
                                        " before it, which the format forbids");
    }
    covered = tensor.end;
    before = &tensor;
  }
  if (covered != data_bytes) {
    return corrupt("the file has " + byte_count(data_bytes) +
                   " of tensor data, but its tensors end at " + std::to_string(covered));
  }
  return {};
}

}  // namespace

std::string_view dtype_name(DType dtype) { return row_of(dtype).name; }

std::size_t dtype_size(DType dtype) { return row_of(dtype).size; }

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text += ']';
}

std::int64_t TensorView::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) count *= dimension;
  return count;
}

struct SafetensorsFile::State {
  std::optional<MappedFile> file;  // nothing when the caller owns the bytes
  Header header;
  std::vector<TensorView> views;           // into header.tensors, in the same order
  std::vector<const TensorView*> by_name;  // sorted

  Status load(std::span<const std::byte> bytes);
  Status index_names();
};

Status SafetensorsFile::State::load(std::span<const std::byte> bytes) {
  if (auto error = other_format(bytes, "safetensors")) return std::move(*error);
  if (bytes.size() < kLengthBytes) {
    return corrupt("the file has " + byte_count(bytes.size()) + ", too few for a safetensors file");
  }
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (header_bytes > kMaxHeaderBytes) {
    return corrupt("not a safetensors file: it would have a header of " + byte_count(header_bytes) +
                   ", the format allows " + byte_count(kMaxHeaderBytes));
  }
  if (header_bytes > bytes.size() - kLengthBytes) {
    return corrupt("the file is cut short: the header alone has " + byte_count(header_bytes) +
                   ", the whole file " + byte_count(bytes.size()));
  }
  const auto text = bytes.subspan(kLengthBytes, static_cast<std::size_t>(header_bytes));
  const auto data = bytes.subspan(kLengthBytes + text.size());
  if (text.empty() || text.front() != std::byte{'{'}) {
    return corrupt("not a safetensors file: its header does not start with '{'");
  }
  QG_TRY(header, parse_header({reinterpret_cast<const char*>(text.data()), text.size()}));

  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const HeaderEntry& a, const HeaderEntry& b) {
              return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
            });
  // Before the layout: two tensors of one name usually overlap too, and the name says more.
  views.reserve(header.tensors.size());
  for (const HeaderEntry& tensor : header.tensors) {
    views.push_back(
        {.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape, .data = {}});
  }
  QG_CHECK_OK(index_names());
  QG_CHECK_OK(check_layout(header.tensors, data.size()));
  for (std::size_t i = 0; i < views.size(); ++i) {
    const HeaderEntry& tensor = header.tensors[i];
    views[i].data = data.subspan(static_cast<std::size_t>(tensor.begin),
                                 static_cast<std::size_t>(tensor.end - tensor.begin));
  }
  return {};
}

Status SafetensorsFile::State::index_names() {
  by_name.reserve(views.size());
  for (const TensorView& view : views) by_name.push_back(&view);
  std::sort(by_name.begin(), by_name.end(),
            [](const TensorView* a, const TensorView* b) { return a->name < b->name; });
  const auto twice = std::adjacent_find(
      by_name.begin(), by_name.end(),
      [](const TensorView* a, const TensorView* b) { return a->name == b->name; });
  if (twice == by_name.end()) return {};
  return corrupt("tensor " + quote((*twice)->name) + " appears twice in the header");
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  QG_TRY(state->file, MappedFile::open(path));
  if (auto status = state->load(state->file->bytes()); !status.ok()) {
    return std::move(status).error().with_context(quote_path(path));
  }
  return SafetensorsFile(std::move(state));
}

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes) {
  auto state = std::make_unique<State>();
  QG_CHECK_OK(state->load(bytes));
  return SafetensorsFile(std::move(state));
}

SafetensorsFile::SafetensorsFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

std::span<const TensorView> SafetensorsFile::tensors() const { return state_->views; }

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto& names = state_->by_name;
  const auto at =
      std::lower_bound(names.begin(), names.end(), name,
                       [](const TensorView* a, std::string_view b) { return a->name < b; });
  return at != names.end() && (*at)->name == name ? *at : nullptr;
}

const std::map<std::string, std::string>& SafetensorsFile::metadata() const {
  return state_->header.metadata;
}

}  // namespace qwen3guard::bytes
