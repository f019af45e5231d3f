// GGUF files that contradict themselves: every one gives an error that names what is wrong.
#include <gtest/gtest.h>

#include "bytes/gguf.h"
#include "bytes/utf8.h"
#include "gguf_bytes.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::as_bytes;
using testing::expect_error;
using testing::gguf_bytes;
using testing::raw;
using testing::raw_array;
using testing::raw_entry;
using testing::raw_header;
using testing::raw_tensor;
using testing::raw_text;
using testing::ScratchDirectory;
using testing::write_raw;

constexpr auto kCorrupt = ErrorCode::kCorruptFile;
constexpr auto kUnsupported = ErrorCode::kUnsupported;
constexpr std::uint32_t kU8 = 0, kU32 = 4, kBool = 7, kString = 8, kArray = 9;
constexpr std::uint32_t kF32 = 0, kQ8_0 = 8, kQ4_K = 12;
constexpr std::uint64_t kHuge = ~std::uint64_t{0};

struct Case {
  const char* name;
  std::string bytes;
  ErrorCode code;
  std::vector<std::string> parts;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::string with_counts(std::uint64_t tensors, std::uint64_t entries, std::string_view rest = {}) {
  return ("GGUF" + raw(std::uint32_t{3}) + raw(tensors) + raw(entries)).append(rest);
}

std::string one_entry(std::string_view key, std::uint32_t type, std::string_view value) {
  return gguf_bytes({raw_entry(key, type, value)}, {}, 0);
}

std::string one_tensor(const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                       std::size_t data_bytes) {
  return gguf_bytes({}, {raw_tensor("w", dimensions, type, 0)}, data_bytes);
}

/// Two tensors of 32 and 16 bytes at these offsets.
std::string two(std::uint64_t first, std::uint64_t second, std::size_t data_bytes) {
  return gguf_bytes(
      {}, {raw_tensor("first", {8}, kF32, first), raw_tensor("second", {4}, kF32, second)},
      data_bytes);
}

std::string aligned(std::uint32_t type, std::string_view value) {
  return one_entry("general.alignment", type, value);
}

std::vector<Case> frame_cases() {
  return {
      {"Empty", "", kCorrupt, {"not a GGUF file", "''"}},
      {"Magic", "GGML....", kCorrupt, {"starts with 'GGML'", "expected 'GGUF'"}},
      {"MagicOnly", "GGUF", kCorrupt, {"byte 4", "the version needs 4 bytes", "0 bytes"}},
      {"Safetensors", raw(std::uint64_t{2}) + "{}", kUnsupported, {"safetensors", "expected GGUF"}},
      {"GitLfsPointer",
       "version https://git-lfs.github.com/spec/v1",
       kUnsupported,
       {"git lfs pull"}},
      {"PytorchArchive", "PK\x03\x04rest of it", kUnsupported, {"expected GGUF", "convert"}},
      {"Version1", raw_header({}, {}, 1), kUnsupported, {"version 1, expected 2 or 3"}},
      {"Version4", raw_header({}, {}, 4), kUnsupported, {"version 4, expected 2 or 3"}},
      {"Version0", raw_header({}, {}, 0), kUnsupported, {"version 0"}},
      {"BigEndian", raw_header({}, {}, 0x03000000), kUnsupported, {"big-endian", "byte 4"}},
      {"NoCounts", "GGUF" + raw(std::uint32_t{3}), kCorrupt, {"the number of tensors", "byte 8"}},
      {"TensorsPastTheEnd",
       with_counts(2, 0, std::string(32, '\0')),
       kCorrupt,
       {"2 tensors", "40 bytes follow"}},
      {"TensorsAllOnes", with_counts(kHuge, 0), kCorrupt, {"18446744073709551615 tensors"}},
      {"EntriesPastTheEnd",
       with_counts(0, 2, std::string(27, '\0')),
       kCorrupt,
       {"2 metadata entries", "27 bytes follow", "byte 16"}},
      {"EntriesAllOnes", with_counts(0, kHuge), kCorrupt, {"18446744073709551615 metadata"}},
      {"TooManyTensors",
       with_counts(100'001, 0, std::string(4'000'000, '\0')),
       kUnsupported,
       {"100001 tensors", "at most 100000"}},
      {"TooManyEntries",
       with_counts(0, 100'001, std::string(2'000'000, '\0')),
       kUnsupported,
       {"100001 metadata", "at most 100000"}},
      {"TrailingBytes", gguf_bytes({}, {}, 1), kCorrupt, {"33 bytes", "end at byte 32"}},
  };
}

std::vector<Case> metadata_cases() {
  return {
      {"KeyPastTheEnd",
       with_counts(0, 1, raw(std::uint64_t{7}) + "abcdef"),
       kCorrupt,
       {"metadata entry 0", "byte 32", "the key needs 7 bytes", "6 bytes"}},
      {"KeyLengthAllOnes", with_counts(0, 1, raw(kHuge) + "abcdef"), kCorrupt, {"the key needs"}},
      {"KeyEmpty", one_entry("", kU8, "1"), kCorrupt, {"metadata entry 0 (byte 24)", "is empty"}},
      {"KeyWithSpace", one_entry("a b", kU8, "1"), kCorrupt, {"'a b'", "ASCII"}},
      {"KeyNotAscii", one_entry("\u00e9", kU8, "1"), kCorrupt, {"ASCII"}},
      {"KeyNotUtf8",
       one_entry("a\xFF", kU8, "1"),
       kCorrupt,
       {"byte 33", "the key is not valid UTF-8"}},
      {"KeyTooLong", one_entry(std::string(65'536, 'k'), kU8, "1"), kCorrupt, {"65,535 bytes"}},
      {"KeyTwice",
       gguf_bytes({raw_entry("k", kU8, "1"), raw_entry("k", kU8, "1")}, {}, 0),
       kCorrupt,
       {"metadata 'k' appears twice"}},
      {"UnknownType",
       one_entry("k", 13, "1"),
       kCorrupt,
       {"metadata 'k' (byte 33)", "unknown type 13", "0 to 12"}},
      {"NoType",
       with_counts(0, 1, raw_text("k") + std::string(5, '\xFF')),
       kCorrupt,
       {"unknown type"}},
      {"NoValue",
       with_counts(0, 1, raw_entry("k", 10, "1234567")),
       kCorrupt,
       {"metadata 'k' (byte 37)", "7 bytes for u64"}},
      {"Boolean2", one_entry("k", kBool, "\2"), kCorrupt, {"a boolean of 2", "byte 37"}},
      {"BooleanInAnArray",
       one_entry("k", kArray, raw_array(kBool, 3, std::string("\1\0\3", 3))),
       kCorrupt,
       {"a boolean of 3", "byte 51"}},
      {"StringPastTheEnd",
       with_counts(0, 1, raw_entry("k", kString, raw(std::uint64_t{2}) + "1")),
       kCorrupt,
       {"a string needs 2 bytes", "1 byte from"}},
      {"StringLengthAllOnes", one_entry("k", kString, raw(kHuge)), kCorrupt, {"a string needs"}},
      {"StringNotUtf8",
       one_entry("k", kString, raw_text("ab\xC0")),
       kCorrupt,
       {"metadata 'k'", "byte 47", "not valid UTF-8"}},
      {"NestedArray",
       one_entry("k", kArray, raw_array(kArray, 1, raw_array(kU8, 1, "1"))),
       kUnsupported,
       {"metadata 'k' (byte 37)", "an array of arrays"}},
      {"ArrayOfUnknown",
       one_entry("k", kArray, raw_array(99, 1, "1")),
       kCorrupt,
       {"unknown type 99"}},
      {"ArrayPastTheEnd",
       with_counts(0, 1, raw_entry("k", kArray, raw_array(kU32, 2, "1234567"))),
       kCorrupt,
       {"7 bytes for array of 2 u32"}},
      {"ArrayAllOnes",
       one_entry("k", kArray, raw_array(kU32, kHuge, "1234")),
       kCorrupt,
       {"array of 18446744073709551615 u32"}},
      {"StringsAllOnes",
       one_entry("k", kArray, raw_array(kString, kHuge / 8, "1234")),
       kCorrupt,
       {"string"}},
      {"StringInAnArrayPastTheEnd",
       with_counts(0, 1,
                   raw_entry("k", kArray,
                             raw_array(kString, 2, raw_text("a") + raw_text("bc").substr(0, 9)))),
       kCorrupt,
       {"a string needs 2 bytes"}},
      {"TooManyElements",
       one_entry("k", kArray, raw_array(kU8, 10'000'001, std::string(10'000'001, '\0'))),
       kUnsupported,
       {"at most 10000000 elements"}},
      {"AlignmentZero", aligned(kU32, raw(std::uint32_t{0})), kCorrupt, {"power of two, found 0"}},
      {"Alignment24",
       aligned(kU32, raw(std::uint32_t{24})),
       kCorrupt,
       {"'general.alignment'", "power of two, found 24"}},
      {"AlignmentAString",
       aligned(kString, raw_text("32")),
       kUnsupported,
       {"'general.alignment'", "expected u32, found string"}},
  };
}

std::vector<Case> tensor_cases() {
  return {
      {"NameEmpty",
       gguf_bytes({}, {raw_tensor("", {8}, kF32, 0)}, 32),
       kCorrupt,
       {"tensor 0 (byte 24)", "0 bytes"}},
      {"NameNotUtf8",
       gguf_bytes({}, {raw_tensor("\xFF", {8}, kF32, 0)}, 32),
       kCorrupt,
       {"tensor 0", "not valid UTF-8"}},
      {"NameTooLong",
       gguf_bytes({}, {raw_tensor(std::string(65'536, 'n'), {8}, kF32, 0)}, 32),
       kCorrupt,
       {"65,536 bytes"}},
      {"NameTwice",
       gguf_bytes({}, {raw_tensor("w", {8}, kF32, 0), raw_tensor("w", {8}, kF32, 32)}, 64),
       kCorrupt,
       {"tensor 'w' appears twice"}},
      {"NoDimensions",
       gguf_bytes({}, {raw_tensor("www", {}, kF32, 0)}, 32),
       kCorrupt,
       {"tensor 'www' (byte 35)", "0 dimensions, expected 1 to 4"}},
      {"FiveDimensions", one_tensor({1, 1, 1, 1, 1}, kF32, 4), kCorrupt, {"5 dimensions"}},
      {"HugeDimension", one_tensor({kHuge}, kF32, 32), kCorrupt, {"a dimension of 1844674407"}},
      {"ElementsOverflow",
       one_tensor({1ull << 32, 1ull << 32}, kF32, 32),
       kCorrupt,
       {"[4294967296, 4294967296]", "larger than any memory"}},
      {"RowsOverflowBeforeAZero",
       one_tensor({0, 1ull << 32, 1ull << 32}, kF32, 32),
       kCorrupt,
       {"larger than any memory"}},
      {"BytesOverflow", one_tensor({1ull << 61}, kF32, 32), kCorrupt, {"larger than any memory"}},
      {"BlocksCut",
       one_tensor({33, 2}, kQ8_0, 72),
       kCorrupt,
       {"tensor 'w'", "Q8_0 of shape [2, 33]", "multiple of 32"}},
      {"BlocksCutK", one_tensor({128, 2}, kQ4_K, 144), kCorrupt, {"Q4_K", "multiple of 256"}},
      {"UnknownTensorType",
       one_tensor({32}, 20, 18),
       kUnsupported,
       {"tensor 'w'", "tensor type number 20", "Q8_0"}},
      {"RemovedTensorType", one_tensor({32}, 4, 18), kUnsupported, {"number 4 "}},
      {"TensorTypeAllOnes", one_tensor({32}, ~0u, 18), kUnsupported, {"4294967295"}},
      {"OffsetUnaligned",
       gguf_bytes({}, {raw_tensor("w", {8}, kF32, 8)}, 40),
       kCorrupt,
       {"tensor 'w' (data at 8)", "multiple of the alignment 32"}},
      {"OffsetAllOnes",
       gguf_bytes({}, {raw_tensor("w", {8}, kF32, kHuge - 31)}, 32),
       kCorrupt,
       {"directly behind the header"}},
      {"Overlap",
       two(0, 0, 32),
       kCorrupt,
       {"'first' (data at 0)", "overlaps tensor 'second'", "ends at 16"}},
      {"Hole",
       two(0, 64, 96),
       kCorrupt,
       {"'second' (data at 64)", "expected at 32", "behind tensor 'first'"}},
      {"HoleAtTheStart",
       two(32, 64, 96),
       kCorrupt,
       {"'first'", "expected at 0", "behind the header"}},
      {"CutShort",
       two(0, 32, 47),
       kCorrupt,
       {"'second'", "16 bytes", "outside the file", "47 bytes"}},
      {"NoData", two(0, 32, 0), kCorrupt, {"'first'", "outside the file", "0 bytes"}},
      {"AbsurdlyLarge", one_tensor({1ull << 40}, kF32, 32), kCorrupt, {"outside the file"}},
      {"MoreThanPadding", two(0, 32, 65), kCorrupt, {"tensors end at byte"}},
  };
}

std::vector<Case> cases() {
  std::vector<Case> all = frame_cases();
  for (auto& more : {metadata_cases(), tensor_cases()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

class GgufHostile : public ::testing::TestWithParam<Case> {};

TEST_P(GgufHostile, GivesAnError) {
  const Case& c = GetParam();
  // A copy of exactly this size, so that a sanitizer sees any read past its end.
  const std::vector<char> exact(c.bytes.begin(), c.bytes.end());
  const auto result = GgufFile::parse(as_bytes(exact));
  expect_error(result, c.code, {});
  for (const std::string& part : c.parts) expect_error(result, c.code, {part});
  EXPECT_LT(result.error().message.size(), 1000u);
  EXPECT_FALSE(find_invalid_utf8(result.error().message));

  ScratchDirectory scratch;
  write_raw(scratch / "w.gguf", c.bytes);
  expect_error(GgufFile::open(scratch / "w.gguf"), c.code, {"w.gguf': "});
}

INSTANTIATE_TEST_SUITE_P(Gguf, GgufHostile, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

std::string valid_file() {
  return gguf_bytes({raw_entry("s", kString, raw_text("text")),
                     raw_entry("a", kArray, raw_array(kString, 2, raw_text("x") + raw_text("y"))),
                     raw_entry("b", kBool, "\1")},
                    {raw_tensor("first", {4, 2}, kF32, 0), raw_tensor("second", {32}, kQ8_0, 32)},
                    66);
}

TEST(GgufHostileBytes, EveryTruncationIsAnError) {
  const std::string whole = valid_file();
  ASSERT_TRUE(GgufFile::parse(as_bytes(std::string_view(whole))).ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(GgufFile::parse(as_bytes(cut)).ok()) << size;
  }
}

TEST(GgufHostileBytes, EveryChangedBitIsAnErrorOrAnotherValidFile) {
  const std::string whole = valid_file();
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::vector<char> changed(whole.begin(), whole.end());
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    const auto file = GgufFile::parse(as_bytes(changed));
    if (!file.ok()) continue;
    for (const GgufTensor& tensor : file->tensors()) {
      EXPECT_GE(tensor.data.data(), as_bytes(changed).data());
      EXPECT_LE(tensor.data.data() + tensor.data.size(), as_bytes(changed).data() + changed.size());
    }
  }
}

}  // namespace
}  // namespace qwen3guard::bytes
