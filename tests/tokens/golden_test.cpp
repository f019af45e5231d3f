// Equal to the reference: checked-in samples of its answers (tests/golden/README.md).

#include <fstream>
#include <nlohmann/json.hpp>

#include "support.h"
#include "tokens/chat_template.h"

namespace qwen3guard::tokens {
namespace {

using nlohmann::json;

json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

Conversation conversation(const json& messages) {
  Conversation result;
  for (const json& message : messages) {
    const std::string role = message["role"];
    Message m{role == "system" ? Role::kSystem
              : role == "user" ? Role::kUser
                               : Role::kAssistant,
              message["content"]};
    if (message.contains("reasoning_content") && !message["reasoning_content"].is_null()) {
      m.reasoning_content = message["reasoning_content"];
    }
    result.push_back(std::move(m));
  }
  return result;
}

TEST(Golden, SampleHasTheReferencesIdsAndOffsets) {
  const auto tokenizer = golden_tokenizer();
  std::size_t texts = 0, with_offsets = 0;
  for (const std::string& line : golden_sample()) {
    const json row = json::parse(line);
    const std::string text = row["text"];
    const auto encoding = tokenizer->encode(text, true);
    ASSERT_TRUE(encoding.ok()) << encoding.error().message;
    ASSERT_EQ(encoding->ids, row["ids"].get<std::vector<TokenId>>()) << text;
    const Encoding plain = encode_plain(*tokenizer, text);
    ASSERT_EQ(plain.ids, row.value("plain_ids", row["ids"]).get<std::vector<TokenId>>()) << text;
    ++texts;
    if (!row.contains("offsets") || row.value("nfc_changes", false)) continue;
    ++with_offsets;
    std::vector<ByteSpan> expected;
    for (const json& span : row["offsets"]) expected.push_back({span[0], span[1]});
    ASSERT_EQ(encoding->offsets, expected) << text;
  }
  EXPECT_GE(texts, 3000u);
  EXPECT_GE(with_offsets, 100u);
}

TEST(Golden, ChatMl) {
  const json golden = read_json(std::filesystem::path(QG_TEST_DATA) / "templates.json");
  for (const json& group : golden["chatml"]) {
    for (const json& expected : group["renderings"]) {
      ChatMlOptions options;
      options.add_generation_prompt = expected["add_generation_prompt"];
      options.enable_thinking = expected["enable_thinking"];
      options.parse_think_tags = true;
      const auto rendered = render_chatml(conversation(group["messages"]), options);
      ASSERT_TRUE(rendered.ok()) << group["name"] << ": " << rendered.error().message;
      EXPECT_EQ(rendered->text, expected["text"].get<std::string>()) << group["name"];
    }
  }
}

TEST(Golden, Gen) {
  const json golden = read_json(std::filesystem::path(QG_TEST_DATA) / "templates.json");
  for (const json& expected : golden["gen"]) {
    const auto rendered = render_gen(conversation(expected["messages"]), GenTemplate::kCompatible);
    ASSERT_TRUE(rendered.ok()) << expected["name"] << ": " << rendered.error().message;
    EXPECT_EQ(rendered->text, expected["text"].get<std::string>()) << expected["name"];
  }
}

}  // namespace
}  // namespace qwen3guard::tokens
