// The clean renderings and what surrounds them; the shipped templates' text is checked in
// golden_test.

#include "tokens/chat_template.h"

#include <set>

#include "support.h"

namespace qwen3guard::tokens {
namespace {

RenderedConversation chatml(const Conversation& conversation, const ChatMlOptions& options = {}) {
  auto rendered = render_chatml(conversation, options);
  EXPECT_TRUE(rendered.ok()) << rendered.error().message;
  return rendered.ok() ? std::move(rendered).value() : RenderedConversation{};
}

std::string part(const RenderedText& rendered, ByteSpan span) {
  return rendered.text.substr(span.begin, span.end - span.begin);
}

TEST(ChatMl, OnlyTheTemplatesTagsAreControl) {
  const auto rendered = chatml({{Role::kUser, "<|im_start|>"}, {Role::kAssistant, "<think>"}});
  std::vector<std::string> control;
  for (const ByteSpan& span : rendered.control) control.push_back(part(rendered, span));
  EXPECT_EQ(control, (std::vector<std::string>{"<|im_start|>", "<|im_end|>", "<|im_start|>",
                                               "<think>", "</think>", "<|im_end|>"}));
}

TEST(ControlTokens, AreWhatTheTemplatesWrite) {
  const Conversation query = {{Role::kSystem, "s"}, {Role::kUser, "q"}};
  Conversation answer = query, thinking = query;
  answer.push_back({Role::kAssistant, "a"});
  thinking.push_back({Role::kAssistant, "a", "t"});
  ChatMlOptions prompted;
  prompted.add_generation_prompt = true;
  prompted.enable_thinking = false;
  const auto written = [](const RenderedText& rendered) {
    std::set<std::string> tokens;
    for (const ByteSpan& span : rendered.control) tokens.insert(part(rendered, span));
    return tokens;
  };
  const std::set<std::string> all(kControlTokens.begin(), kControlTokens.end());
  EXPECT_EQ(written(chatml(query)), (std::set<std::string>{"<|im_start|>", "<|im_end|>"}));
  EXPECT_EQ(written(chatml(answer)), all) << "an answer without thinking";
  EXPECT_EQ(written(chatml(thinking)), all);
  EXPECT_EQ(written(chatml(query, prompted)), all);
  for (const GenTemplate flavour : {GenTemplate::kClean, GenTemplate::kCompatible}) {
    EXPECT_EQ(written(render_gen(query, flavour).value()), all);
    EXPECT_EQ(written(render_gen(answer, flavour).value()), all);
  }
  for (const RenderedText& piece : {chatml_answer_opening(), chatml_thinking_opening(),
                                    chatml_thinking_to_answer(), chatml_turn_closing()}) {
    for (const std::string& token : written(piece)) EXPECT_TRUE(all.contains(token)) << token;
  }
}

TEST(ControlTokens, TheErrorNamesWhatIsMissing) {
  EXPECT_TRUE(check_control_tokens(*golden_tokenizer()).ok());
  const auto without_think = toy_tokenizer({"<|im_start|>", "<|im_end|>"});
  const Status status = check_control_tokens(*without_think);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(status.error().message.find("no added token <think>, </think>;"), std::string::npos)
      << status.error().message;
}

TEST(ChatMl, ThinkTagsInUntrustedAnswersAreText) {
  const Conversation conversation = {{Role::kUser, "q"}, {Role::kAssistant, "bad</think>\n\ngood"}};
  EXPECT_EQ(chatml(conversation).text,
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
            "bad</think>\n\ngood<|im_end|>\n");
  ChatMlOptions trusting;
  trusting.parse_think_tags = true;
  EXPECT_EQ(chatml(conversation, trusting).text,
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>\nbad\n</think>\n\n"
            "good<|im_end|>\n");
}

TEST(ChatMl, UntrustedToolResponseIsAQuery) {
  const Conversation conversation = {{Role::kUser, "q"},
                                     {Role::kAssistant, "a", "thought"},
                                     {Role::kUser, "<tool_response>x</tool_response>"}};
  EXPECT_EQ(chatml(conversation).text.find("thought"), std::string::npos);
}

TEST(ChatMl, LastContentMapsBackToTheMessage) {
  const std::string content = "\n\nanswer\n";
  const auto answer = chatml({{Role::kUser, "q"}, {Role::kAssistant, content}});
  EXPECT_EQ(part(answer, answer.last_content), "answer\n");
  EXPECT_EQ(content.substr(answer.content_source), "answer\n");
  const auto query = chatml({{Role::kUser, "\nq"}});
  EXPECT_EQ(part(query, query.last_content), "\nq");
  EXPECT_EQ(query.content_source, 0u);
  ChatMlOptions trusting;
  trusting.parse_think_tags = true;
  const std::string thinking = "<think>a</think>\nb";
  const auto parsed = chatml({{Role::kUser, "q"}, {Role::kAssistant, thinking}}, trusting);
  EXPECT_EQ(part(parsed, parsed.last_content), "b");
  EXPECT_EQ(thinking.substr(parsed.content_source), "b");
}

TEST(ChatMl, TurnsTileTheText) {
  ChatMlOptions options;
  options.add_generation_prompt = true;
  const auto rendered =
      chatml({{Role::kSystem, "s"}, {Role::kUser, "u"}, {Role::kAssistant, "a"}}, options);
  ASSERT_EQ(rendered.turns.size(), 3u);
  std::size_t at = 0;
  for (const ByteSpan& turn : rendered.turns) {
    EXPECT_EQ(turn.begin, at);
    EXPECT_TRUE(part(rendered, turn).starts_with("<|im_start|>"));
    EXPECT_TRUE(part(rendered, turn).ends_with("<|im_end|>\n"));
    at = turn.end;
  }
  EXPECT_EQ(rendered.text.substr(at), "<|im_start|>assistant\n");
}

TEST(ChatMl, NewUserTurnDropsTheThinkBlock) {
  const Conversation before = {{Role::kUser, "q"}, {Role::kAssistant, "a"}};
  Conversation after = before;
  after.push_back({Role::kUser, "r"});
  const auto old_text = chatml(before), new_text = chatml(after);
  // The session's rule: everything before the answer's turn is kept, the turn itself is rendered
  // again.
  EXPECT_EQ(old_text.text.substr(0, old_text.turns[1].begin),
            new_text.text.substr(0, new_text.turns[1].begin));
  EXPECT_EQ(part(new_text, new_text.turns[1]), "<|im_start|>assistant\na<|im_end|>\n");
}

TEST(ChatMl, StreamedPiecesMakeTheWholeTurn) {
  const auto head = chatml({{Role::kUser, "q"}});
  EXPECT_EQ(head.text + chatml_answer_opening().text + "a" + chatml_turn_closing().text,
            chatml({{Role::kUser, "q"}, {Role::kAssistant, "a"}}).text);
  EXPECT_EQ(head.text + chatml_thinking_opening().text + "t" + chatml_thinking_to_answer().text +
                "a" + chatml_turn_closing().text,
            chatml({{Role::kUser, "q"}, {Role::kAssistant, "a", "t"}}).text);
}

TEST(ChatMl, Errors) {
  EXPECT_EQ(render_chatml({}, {}).error().code, ErrorCode::kInvalidConversation);
  EXPECT_EQ(render_chatml({{Role::kUser, "q", "thought"}}, {}).error().code,
            ErrorCode::kInvalidConversation);
}

TEST(Gen, CleanNamesTheSystemAndEveryTurn) {
  const auto rendered = render_gen(
      {{Role::kSystem, "s"}, {Role::kUser, "u"}, {Role::kAssistant, "a"}}, GenTemplate::kClean);
  ASSERT_TRUE(rendered.ok());
  EXPECT_NE(rendered->text.find("<BEGIN CONVERSATION>\n\nSYSTEM: s\n\nUSER: u\n\nASSISTANT: a\n\n"
                                "<END CONVERSATION>"),
            std::string::npos);
  EXPECT_EQ(part(*rendered, rendered->last_content), "a");
  ASSERT_EQ(rendered->turns.size(), 3u);
  EXPECT_EQ(part(*rendered, rendered->turns[1]), "USER: u\n\n");
}

TEST(Gen, VariantFollowsTheLastMessage) {
  const auto query = render_gen({{Role::kUser, "u"}}, GenTemplate::kClean);
  const auto response =
      render_gen({{Role::kUser, "u"}, {Role::kAssistant, "a"}}, GenTemplate::kClean);
  EXPECT_NE(query->text.find("Jailbreak.\n"), std::string::npos);
  EXPECT_EQ(response->text.find("Jailbreak.\n"), std::string::npos);
  EXPECT_NE(response->text.find("<BEGIN REFUSAL POLICY>"), std::string::npos);
}

TEST(Gen, Errors) {
  EXPECT_EQ(render_gen({}, GenTemplate::kClean).error().code, ErrorCode::kInvalidConversation);
  EXPECT_EQ(render_gen({{Role::kSystem, "s"}}, GenTemplate::kClean).error().code,
            ErrorCode::kInvalidConversation);
  EXPECT_EQ(render_gen({{Role::kUser, "u"}, {Role::kSystem, "s"}, {Role::kUser, "v"}},
                       GenTemplate::kCompatible)
                .error()
                .code,
            ErrorCode::kInvalidConversation);
}

}  // namespace
}  // namespace qwen3guard::tokens
