#include "formats/conversation_json.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qwen3guard::formats {
namespace {

TEST(ConversationLine, ReadsMessagesIdAndThinking) {
  const auto line = parse_conversation_line(
      R"({"id": "a", "source": "x", "messages": [{"role": "system", "content": "be kind"},)"
      R"( {"role": "user", "content": "hi", "name": null},)"
      R"( {"role": "assistant", "content": "hello", "reasoning_content": "greet"}]})");
  ASSERT_TRUE(line.conversation.ok()) << line.conversation.error().message;
  EXPECT_EQ(*line.id, "a");
  ASSERT_EQ(line.conversation->size(), 3u);
  EXPECT_EQ((*line.conversation)[0].role, Role::kSystem);
  EXPECT_EQ((*line.conversation)[1].content, "hi");
  EXPECT_FALSE((*line.conversation)[1].reasoning_content.has_value());
  EXPECT_EQ((*line.conversation)[2].reasoning_content, "greet");
}

TEST(ConversationLine, NumbersAreIdsToo) {
  EXPECT_EQ(*parse_conversation_line(R"({"id": 18446744073709551615})").id, 18446744073709551615u);
  EXPECT_EQ(*parse_conversation_line(R"({"id": -7})").id, -7);
  EXPECT_EQ(*parse_conversation_line(R"({"id": 1.5})").id, 1.5);
  EXPECT_FALSE(parse_conversation_line("{}").id.has_value());
}

TEST(ConversationLine, IdSurvivesABadConversation) {
  const auto line = parse_conversation_line(R"({"id": 4, "messages": []})");
  EXPECT_EQ(*line.id, 4);
  EXPECT_EQ(line.conversation.error().code, ErrorCode::kInvalidConversation);
}

struct Bad {
  std::string line;
  ErrorCode code;
  std::string mentions;
};

TEST(ConversationLine, RefusesWhatItCannotJudge) {
  const std::vector<Bad> cases = {
      {"", ErrorCode::kInvalidJson, "empty line"},
      {"  \r", ErrorCode::kInvalidJson, "empty line"},
      {"{", ErrorCode::kInvalidJson, "line 1"},
      {"[]", ErrorCode::kInvalidConversation, "object"},
      {"{}", ErrorCode::kInvalidConversation, "messages"},
      {R"({"messages": {}})", ErrorCode::kInvalidConversation, "list"},
      {R"({"messages": ["hi"]})", ErrorCode::kInvalidConversation, "message 1"},
      {R"({"messages": [{"role": "user"}]})", ErrorCode::kInvalidConversation, "content"},
      {R"({"messages": [{"content": "x"}]})", ErrorCode::kInvalidConversation, "role"},
      {R"({"messages": [{"role": "tool", "content": "x"}]})", ErrorCode::kInvalidConversation,
       "'tool'"},
      {R"({"messages": [{"role": 1, "content": "x"}]})", ErrorCode::kInvalidConversation, "number"},
      {R"({"messages": [{"role": "user", "content": null}]})", ErrorCode::kInvalidConversation,
       "null"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})",
       ErrorCode::kInvalidConversation, "array"},
      {R"({"messages": [{"role": "user", "content": "x", "tool_calls": []}]})",
       ErrorCode::kInvalidConversation, "tool_calls"},
      {R"({"messages": [{"role": "user", "content": "x", "reasoning_content": "y"}]})",
       ErrorCode::kInvalidConversation, "assistant"},
      {R"({"messages": [{"role": "system", "content": "x"}]})", ErrorCode::kInvalidConversation,
       "last"},
      {R"({"id": [1], "messages": []})", ErrorCode::kInvalidConversation, "id"},
      {R"({"id": null, "messages": []})", ErrorCode::kInvalidConversation, "id"},
      {R"({"id": 123456789012345678901234567890, "messages": []})", ErrorCode::kInvalidConversation,
       "string"},
      {R"({"messages": [], "messages": []})", ErrorCode::kInvalidJson, "messages"},
      {"{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}", ErrorCode::kInvalidUtf8,
       "byte"},
      {"{\"messages\": [{\"role\": \"user\", \"content\": \"\\ud800\"}]}", ErrorCode::kInvalidJson,
       ""},
      {std::string(1000, '['), ErrorCode::kInvalidJson, "nested"},
  };
  for (const Bad& bad : cases) {
    const auto line = parse_conversation_line(bad.line);
    ASSERT_FALSE(line.conversation.ok()) << bad.line.substr(0, 80);
    const Error& error = line.conversation.error();
    EXPECT_NE(error.message.find(bad.mentions), std::string::npos) << error.message;
    EXPECT_EQ(error_code_name(error.code), error_code_name(bad.code)) << error.message;
  }
}

}  // namespace
}  // namespace qwen3guard::formats
