// Files that contradict themselves: every one gives an error that names what is wrong.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "bytes/safetensors.h"
#include "bytes/utf8.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::as_bytes;
using testing::expect_error;
using testing::safetensors_bytes;
using testing::ScratchDirectory;
using testing::write_raw;

constexpr auto kCorrupt = ErrorCode::kCorruptFile;
constexpr auto kUnsupported = ErrorCode::kUnsupported;

struct Case {
  const char* name;
  std::string bytes;
  ErrorCode code;
  std::vector<std::string> parts;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::string with_length(std::uint64_t length, std::string_view rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes.append(rest);
}

/// A file whose header has one tensor "w" with these fields, and 8 bytes of data.
std::string tensor(std::string_view fields) {
  return safetensors_bytes("{\"w\":{" + std::string(fields) + "}}", 8);
}

/// A file of two tensors of 4 bytes with these offsets.
std::string two(std::string_view first, std::string_view second, std::size_t data_bytes) {
  std::string header = R"({"first":{"dtype":"U8","shape":[4],"data_offsets":)";
  header.append(first).append(R"(},"second":{"dtype":"U8","shape":[4],"data_offsets":)");
  return safetensors_bytes(header.append(second).append("}}"), data_bytes);
}

std::vector<Case> cases() {
  const std::string nested = std::string(100'000, '[');
  return {
      // The frame.
      {"Empty", "", kCorrupt, {"0 bytes", "too few"}},
      {"SevenBytes", "1234567", kCorrupt, {"7 bytes"}},
      {"LengthZero", with_length(0, "{}"), kCorrupt, {"does not start with '{'"}},
      {"LengthPastTheEnd",
       with_length(100, "{}"),
       kCorrupt,
       {"cut short", "100 bytes", "10 bytes"}},
      {"LengthOneTooMany", with_length(3, "{}"), kCorrupt, {"cut short"}},
      {"LengthAboveTheLimit",
       with_length(100'000'001, "{}"),
       kCorrupt,
       {"100,000,001", "100,000,000"}},
      {"LengthAllOnes", with_length(~0ull, "{}"), kCorrupt, {"18,446,744,073,709,551,615"}},
      {"LengthOverflowsWithTheFrame",
       with_length(~0ull - 7, "{}"),
       kCorrupt,
       {"the format allows"}},
      // Other formats, by mistake.
      {"GitLfsPointer",
       "version https://git-lfs.github.com/spec/v1\noid sha256:",
       kUnsupported,
       {"git lfs pull"}},
      {"PytorchArchive", "PK\x03\x04rest of it", kUnsupported, {"PyTorch", "convert"}},
      {"Gguf", "GGUF rest of it", kUnsupported, {"GGUF"}},
      {"WebPage", "<!DOCTYPE html><html>", kUnsupported, {"web page"}},
      // The JSON.
      {"HeaderIsAList", safetensors_bytes("[]", 0), kCorrupt, {"does not start with '{'"}},
      {"HeaderStartsWithSpace", safetensors_bytes(" {}", 0), kCorrupt, {"does not start with '{'"}},
      {"HeaderCutShort",
       safetensors_bytes(R"({"w":{"dtype":"F32")", 0),
       kCorrupt,
       {"header", "unexpected end"}},
      {"HeaderIsNotUtf8", safetensors_bytes("{\"\xFF\":1}", 0), kCorrupt, {"UTF-8", "byte 2"}},
      {"TrailingBytes", safetensors_bytes("{}x", 0), kCorrupt, {"column 3"}},
      {"TwoObjects", safetensors_bytes("{}{}", 0), kCorrupt, {"column 3"}},
      {"DeepLists",
       safetensors_bytes("{\"w\":" + nested, 0),
       kCorrupt,
       {"'w': expected an object, found a list"}},
      {"DeepShape", tensor(R"("dtype":"F32","shape":)" + nested), kCorrupt, {"found a list"}},
      {"DeepObjects",
       safetensors_bytes(R"({"w":{"dtype":{"x":{"y":{}}}}})", 0),
       kCorrupt,
       {"found an object"}},
      {"DuplicateName",
       safetensors_bytes(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                         R"("w":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                         8),
       kCorrupt,
       {"tensor 'w' appears twice"}},
      {"DuplicateNameEscaped",
       safetensors_bytes(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                         R"("\u0077":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                         8),
       kCorrupt,
       {"tensor 'w' appears twice"}},
      {"DuplicateField",
       tensor(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
       kCorrupt,
       {"tensor 'w'", "'dtype' appears twice"}},
      {"UnknownField",
       tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)"),
       kCorrupt,
       {"unknown field 'x'"}},
      {"MissingField",
       tensor(R"("dtype":"F32","shape":[2])"),
       kCorrupt,
       {"expected dtype, shape and data_offsets"}},
      {"NoFields", tensor(""), kCorrupt, {"tensor 'w'"}},
      {"TensorIsANumber",
       safetensors_bytes(R"({"w":1})", 0),
       kCorrupt,
       {"'w': expected an object, found a number"}},
      {"TensorIsNull", safetensors_bytes(R"({"w":null})", 0), kCorrupt, {"found null"}},
      {"MetadataIsAString",
       safetensors_bytes(R"({"__metadata__":"x"})", 0),
       kCorrupt,
       {"'__metadata__'"}},
      {"MetadataHoldsANumber",
       safetensors_bytes(R"({"__metadata__":{"k":1}})", 0),
       kCorrupt,
       {"__metadata__: 'k': expected a string"}},
      {"MetadataHoldsAnObject",
       safetensors_bytes(R"({"__metadata__":{"k":{}}})", 0),
       kCorrupt,
       {"'k'"}},
      {"MetadataKeyTwice",
       safetensors_bytes(R"({"__metadata__":{"k":"1","k":"2"}})", 0),
       kCorrupt,
       {"'k' appears twice"}},
      {"MetadataTwice",
       safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})", 0),
       kCorrupt,
       {"__metadata__ appears twice"}},
      // dtype and shape.
      {"UnknownDType",
       tensor(R"("dtype":"F4","shape":[16],"data_offsets":[0,8])"),
       kUnsupported,
       {"tensor 'w'", "'F4'", "convert"}},
      {"WrongDType",
       tensor(R"("dtype":"F16","shape":[2],"data_offsets":[0,8])"),
       kCorrupt,
       {"tensor 'w'", "F16", "[2]", "need 4 bytes", "hold 8 bytes", "download"}},
      {"DTypeIsANumber",
       tensor(R"("dtype":1,"shape":[2],"data_offsets":[0,8])"),
       kCorrupt,
       {"expected a string"}},
      {"DTypeIsAList",
       tensor(R"("dtype":["F32"],"shape":[2],"data_offsets":[0,8])"),
       kCorrupt,
       {"found a list"}},
      {"ShapeIsAString",
       tensor(R"("dtype":"F32","shape":"2","data_offsets":[0,8])"),
       kCorrupt,
       {"found a string"}},
      {"ShapeHoldsAString",
       tensor(R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])"),
       kCorrupt,
       {"shape: expected whole numbers, found a string"}},
      {"NegativeShape",
       tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
       kCorrupt,
       {"negative number -2"}},
      {"TwoNegatives",
       tensor(R"("dtype":"F32","shape":[-1,-2],"data_offsets":[0,8])"),
       kCorrupt,
       {"negative"}},
      {"FractionalShape",
       tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"),
       kCorrupt,
       {"'2.0'"}},
      {"HugeDimension",
       tensor(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"),
       kCorrupt,
       {"more than any tensor"}},
      {"DimensionAbove64Bits",
       tensor(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8])"),
       kCorrupt,
       {"99999999999999999999"}},
      {"ShapeOverflows",
       tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"),
       kCorrupt,
       {"larger than any memory"}},
      {"ShapeOverflowsToTheRightSize",
       tensor(R"("dtype":"U8","shape":[4294967296,4294967296,8],"data_offsets":[0,0])"),
       kCorrupt,
       {"larger than any memory"}},
      {"ShapeOverflowsBeforeAZero",
       tensor(R"("dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0])"),
       kCorrupt,
       {"larger than any memory"}},
      {"ShapeOverflowsWithTheDType",
       tensor(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])"),
       kCorrupt,
       {"larger than any memory"}},
      {"RankTooHigh",
       tensor(
           R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],)"
           R"("data_offsets":[0,1])"),
       kCorrupt,
       {"more than 32 dimensions"}},
      // data_offsets.
      {"OneOffset",
       tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0])"),
       kCorrupt,
       {"1 numbers, expected 2"}},
      {"ThreeOffsets",
       tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"),
       kCorrupt,
       {"more than 2"}},
      {"NegativeOffset",
       tensor(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"),
       kCorrupt,
       {"negative"}},
      {"OffsetsBackwards",
       tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
       kCorrupt,
       {"[8, 0]", "end before they begin"}},
      {"OffsetsPastTheEnd",
       tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,12])"),
       kCorrupt,
       {"[0, 12]", "outside the file", "8 bytes"}},
      {"OffsetsAtTheTopOf64Bits",
       tensor(
           R"("dtype":"U8","shape":[8],"data_offsets":[18446744073709551608,18446744073709551615])"),
       kCorrupt,
       {"outside the file"}},
      {"AbsurdlyLarge",
       tensor(R"("dtype":"BF16","shape":[1000000000000],"data_offsets":[0,2000000000000])"),
       kCorrupt,
       {"[0, 2000000000000]", "outside the file"}},
      {"Overlap", two("[0,4]", "[2,6]", 6), kCorrupt, {"'second'", "overlap", "'first'"}},
      {"SameData", two("[0,4]", "[0,4]", 4), kCorrupt, {"overlap"}},
      {"Hole", two("[0,4]", "[6,10]", 10), kCorrupt, {"'second'", "hole of 2 bytes"}},
      {"HoleAtTheStart", two("[2,6]", "[6,10]", 10), kCorrupt, {"'first'", "hole of 2 bytes"}},
      {"HoleAtTheEnd", two("[0,4]", "[4,8]", 9), kCorrupt, {"9 bytes", "end at 8"}},
      {"EmptyTensorBehindTheData",
       safetensors_bytes(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})", 8),
       kCorrupt,
       {"hole"}},
      {"DataWithoutTensors", safetensors_bytes("{}", 5), kCorrupt, {"5 bytes"}},
      {"CutShort",
       two("[0,4]", "[4,8]", 7),
       kCorrupt,
       {"'second'", "outside the file", "cut short"}},
  };
}

class Hostile : public ::testing::TestWithParam<Case> {};

TEST_P(Hostile, GivesAnError) {
  const Case& c = GetParam();
  // A copy of exactly this size, so that a sanitizer sees any read past its end.
  const std::vector<char> exact(c.bytes.begin(), c.bytes.end());
  const auto result = SafetensorsFile::parse(as_bytes(exact));
  expect_error(result, c.code, {});
  for (const std::string& part : c.parts) expect_error(result, c.code, {part});
  EXPECT_LT(result.error().message.size(), 1000u);
  EXPECT_FALSE(find_invalid_utf8(result.error().message));

  ScratchDirectory scratch;
  write_raw(scratch / "w.safetensors", c.bytes);
  expect_error(SafetensorsFile::open(scratch / "w.safetensors"), c.code, {"w.safetensors': "});
}

INSTANTIATE_TEST_SUITE_P(Safetensors, Hostile, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST(SafetensorsHostile, EveryTruncationIsAnError) {
  const std::string whole = two("[0,4]", "[4,8]", 8);
  ASSERT_TRUE(SafetensorsFile::parse(as_bytes(std::string_view(whole))).ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(SafetensorsFile::parse(as_bytes(cut)).ok()) << size;
  }
}

TEST(SafetensorsHostile, EveryChangedHeaderByteIsAnErrorOrAnotherValidFile) {
  const std::string whole = two("[0,4]", "[4,8]", 8);
  for (std::size_t at = 0; at < whole.size() - 8; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> changed(whole.begin(), whole.end());
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const auto file = SafetensorsFile::parse(as_bytes(changed));
      if (!file.ok()) continue;
      for (const TensorView& view : file->tensors()) {
        EXPECT_GE(view.data.data(), as_bytes(changed).data());
        EXPECT_LE(view.data.data() + view.data.size(), as_bytes(changed).data() + changed.size());
      }
    }
  }
}

TEST(SafetensorsHostile, AHeaderOfHugeListsTakesLittleMemory) {
  std::string header = R"({"w":{"dtype":"U8","shape":[)";
  while (header.size() < 50'000'000) header += "0,0,0,0,0,0,0,0,";
  rusage before{};
  ::getrusage(RUSAGE_SELF, &before);
  const std::string bytes = safetensors_bytes(header, 0);
  expect_error(SafetensorsFile::parse(as_bytes(std::string_view(bytes))), kCorrupt,
               {"more than 32 dimensions"});
  rusage after{};
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss,
            200'000);  // kB; the bytes themselves and their copy
}

TEST(SafetensorsHostile, ManyTensorsAreRead) {
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i) {
    header.append(i == 0 ? "\"t" : ",\"t").append(std::to_string(i));
    header += R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  const std::string bytes = safetensors_bytes(header + "}", 0);
  const auto file = SafetensorsFile::parse(as_bytes(std::string_view(bytes)));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->tensors().size(), 100'000u);
  EXPECT_NE(file->find("t99999"), nullptr);
}

}  // namespace
}  // namespace qwen3guard::bytes
