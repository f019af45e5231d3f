#include "bytes/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::expect_error;

TEST(Json, ParsesEveryKindOfValue) {
  const auto value = parse_json(
      R"( {"a": [1, -2, 2.5, true, false, null, "x\u00e9\ud83d\ude00"], "b": {"c": {}}, "d": []} )");
  ASSERT_TRUE(value.ok()) << value.error().message;
  const auto expected =
      nlohmann::json{{"a", {1, -2, 2.5, true, false, nullptr, "x\u00e9\U0001F600"}},
                     {"b", {{"c", nlohmann::json::object()}}},
                     {"d", nlohmann::json::array()}};
  EXPECT_EQ(*value, expected);
  EXPECT_EQ(*parse_json("7"), 7);
  EXPECT_EQ(*parse_json("\"s\""), "s");
}

TEST(Json, AgreesWithTheLibraryOnItsOwnOutput) {
  nlohmann::json value;
  for (int i = 0; i < 300; ++i) {
    value[std::string("k").append(std::to_string(i))] = {
        i, {{"nested", {i * 0.5, std::string(static_cast<std::size_t>(i), 'x')}}}};
  }
  for (const int indent : {-1, 2}) {
    const auto parsed = parse_json(value.dump(indent));
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(*parsed, value);
  }
}

TEST(Json, SaysWhereTheSyntaxIsWrong) {
  expect_error(parse_json("{\"a\": 1,\n \"b\": tru}"), ErrorCode::kInvalidJson,
               {"line 2, column 10"});
  expect_error(parse_json(""), ErrorCode::kInvalidJson, {"line 1, column 1", "unexpected end"});
  expect_error(parse_json("   "), ErrorCode::kInvalidJson, {"unexpected end"});
  expect_error(parse_json("{} x"), ErrorCode::kInvalidJson, {"line 1, column 4"});
  expect_error(parse_json("{} {}"), ErrorCode::kInvalidJson, {"line 1, column 4"});
  for (const char* text :
       {"[1,]", "{\"a\":1,}", "[NaN]", "[Infinity]", "[01]", "['a']", "{a:1}", "[1e999]",
        "\"\\ud800\"", "\"\\q\"", "\"a\nb\"", "// c\n1", "[", "{\"a\"", "\"abc", "-"}) {
    expect_error(parse_json(text), ErrorCode::kInvalidJson, {"line "});
  }
}

TEST(Json, ErrorsDoNotRepeatTheInput) {
  const std::string text = "[\"" + std::string(1 << 20, 'a');
  const auto result = parse_json(text);
  expect_error(result, ErrorCode::kInvalidJson, {});
  EXPECT_LT(result.error().message.size(), 400u);
}

TEST(Json, RefusesDuplicateKeys) {
  expect_error(parse_json(R"({"a": {"role": 1, "b": 2, "role": 3}})"), ErrorCode::kInvalidJson,
               {"'role' appears twice", "line 1, column 32"});
  EXPECT_TRUE(parse_json(R"({"a": {"role": 1}, "b": {"role": 1}})").ok());
}

TEST(Json, LimitsDepth) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(parse_json(nested(64)).ok());
  expect_error(parse_json(nested(65)), ErrorCode::kInvalidJson, {"deeper than 64"});
  expect_error(parse_json(std::string(10'000'000, '[')), ErrorCode::kInvalidJson,
               {"deeper than 64"});
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  expect_error(parse_json(objects), ErrorCode::kInvalidJson, {"deeper than 64"});
  EXPECT_TRUE(parse_json("[[[]]]", {.max_depth = 3}).ok());
  EXPECT_FALSE(parse_json("[[[]]]", {.max_depth = 2}).ok());
}

TEST(Json, LimitsSizeAndNumberOfValues) {
  expect_error(parse_json("[1,2,3]", {.max_bytes = 6}), ErrorCode::kTooLong,
               {"7 bytes", "at most 6 bytes"});
  EXPECT_TRUE(parse_json("[1,2,3]", {.max_values = 4}).ok());
  expect_error(parse_json("[1,2,3]", {.max_values = 3}), ErrorCode::kTooLong, {"more than 3"});
  std::string many = "[0";
  for (int i = 0; i < (5 << 20); ++i) many += ",0";
  expect_error(parse_json(many + "]"), ErrorCode::kTooLong, {"more than 4194304 JSON values"});
}

TEST(Json, RefusesInvalidUtf8) {
  expect_error(parse_json("{\"a\":\n\"\xC3(\"}"), ErrorCode::kInvalidUtf8,
               {"line 2, column 2", "byte 7"});
  expect_error(parse_json("\xFF\xFE{\0}\0"), ErrorCode::kInvalidUtf8, {"line 1, column 1"});
}

TEST(ReadJson, NamesTheFile) {
  testing::ScratchDirectory scratch;
  testing::write_raw(scratch / "good.json", "{\"a\": [1]}");
  testing::write_raw(scratch / "bad.json", "{\"a\": [1}");
  EXPECT_EQ(*read_json(scratch / "good.json"), (nlohmann::json{{"a", {1}}}));
  expect_error(read_json(scratch / "bad.json"), ErrorCode::kInvalidJson,
               {"bad.json", "line 1, column 9"});
  expect_error(read_json(scratch / "none.json"), ErrorCode::kNotFound,
               {"none.json", "No such file"});
  expect_error(read_json(scratch.path()), ErrorCode::kIo, {"directory"});
  expect_error(read_json(scratch / "good.json", {.max_bytes = 5}), ErrorCode::kTooLong,
               {"good.json", "10 bytes", "at most 5 bytes"});
}

}  // namespace
}  // namespace qwen3guard::bytes
