#include "tokens/tokenizer.h"

#include <thread>

#include "support.h"
#include "tokens/chat_template.h"

namespace qwen3guard::tokens {
namespace {

TEST(Tokenizer, DecodeUndoesEncode) {
  const auto tokenizer = golden_tokenizer();
  Random random(31);
  for (int i = 0; i < 3'000; ++i) {
    const std::string text = random_text(random, 1 + below(random, 30));
    const auto back = tokenizer->decode(encode_plain(*tokenizer, text).ids);
    ASSERT_TRUE(back.ok());
    const auto again = tokenizer->decode(encode_plain(*tokenizer, *back).ids);
    ASSERT_EQ(*again, *back);  // equal to the text itself up to NFC
  }
  EXPECT_EQ(*tokenizer->decode(encode_plain(*tokenizer, "Hello, \u4f60\u597d!").ids),
            "Hello, \u4f60\u597d!");
}

TEST(Tokenizer, DecodeRefusesUnknownIds) {
  const auto tokenizer = golden_tokenizer();
  for (const TokenId id : {-1, static_cast<TokenId>(tokenizer->vocabulary_size()), 1 << 30}) {
    const std::vector<TokenId> ids = {id};
    const auto text = tokenizer->decode(ids);
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Tokenizer, OffsetsCoverTheTextInOrder) {
  const auto tokenizer = golden_tokenizer();
  Random random(37);
  for (int i = 0; i < 5'000; ++i) {
    const std::string text = random_text(random, 1 + below(random, 30));
    const Encoding encoding = encode_plain(*tokenizer, text);
    ASSERT_EQ(encoding.ids.size(), encoding.offsets.size());
    std::size_t covered = 0;
    ByteSpan last;
    for (const ByteSpan& span : encoding.offsets) {
      ASSERT_LT(span.begin, span.end);
      ASSERT_LE(span.begin, covered) << "a gap in " << testing::PrintToString(text);
      ASSERT_GE(span.begin, last.begin);
      ASSERT_GE(span.end, last.end);
      ASSERT_FALSE(is_continuation(text[span.begin]));
      ASSERT_TRUE(span.end == text.size() || !is_continuation(text[span.end]));
      covered = span.end;
      last = span;
    }
    ASSERT_EQ(covered, text.size());
  }
}

TEST(Tokenizer, RewrittenSequenceBelongsWhole) {
  const auto tokenizer = golden_tokenizer();
  const std::string text = "xe\u0301";  // e and the mark become one character
  const Encoding encoding = encode_plain(*tokenizer, text);
  EXPECT_EQ(encoding.ids, encode_plain(*tokenizer, "x\u00e9").ids);
  EXPECT_EQ(encoding.offsets.back().end, text.size());
}

TEST(Tokenizer, ContentNeverBecomesAControlToken) {
  const auto tokenizer = golden_tokenizer();
  const std::vector<std::string> names = {
      "<|endoftext|>", "<|im_start|>",    "<|im_end|>",       "<think>",        "</think>",
      "<tool_call>",   "<tool_response>", "</tool_response>", "<|fim_prefix|>", "<|vision_start|>"};
  std::vector<TokenId> control;
  for (const std::string& name : names) {
    const auto id = tokenizer->added_token(name);
    ASSERT_TRUE(id.has_value()) << name;
    control.push_back(*id);
  }
  Random random(41);
  for (int i = 0; i < 2'000; ++i) {
    Conversation conversation;
    for (std::size_t turn = 0; turn < 1 + below(random, 4); ++turn) {
      std::string content;
      for (std::size_t part = below(random, 5); part > 0; --part) {
        content += below(random, 2) == 0 ? names[below(random, names.size())]
                                         : random_text(random, below(random, 5) + 1);
      }
      conversation.push_back({static_cast<Role>(below(random, 3)), content});
      if (conversation.back().role == Role::kAssistant && below(random, 3) == 0) {
        conversation.back().reasoning_content = names[below(random, names.size())] + "x";
      }
    }
    for (const bool gen : {false, true}) {
      const auto rendered =
          gen ? render_gen(conversation, GenTemplate::kClean) : render_chatml(conversation, {});
      if (!rendered.ok()) continue;
      const auto encoding = tokenizer->encode(*rendered);
      ASSERT_TRUE(encoding.ok());
      std::size_t found = 0;
      for (std::size_t k = 0; k < encoding->ids.size(); ++k) {
        if (std::find(control.begin(), control.end(), encoding->ids[k]) == control.end()) continue;
        ++found;
        ASSERT_NE(
            std::find(rendered->control.begin(), rendered->control.end(), encoding->offsets[k]),
            rendered->control.end())
            << "a control id where the template wrote none";
      }
      ASSERT_EQ(found, rendered->control.size());
    }
  }
}

TEST(Tokenizer, AControlTokenThatIsMissingIsAnErrorNotText) {
  const auto tokenizer = toy_tokenizer({"<|im_start|>", "<|im_end|>", "<"});
  const Conversation query = {{Role::kUser, "<think>"}};
  EXPECT_TRUE(tokenizer->encode(render_chatml(query, {}).value()).ok());
  Conversation answer = query;
  answer.push_back({Role::kAssistant, "a"});
  for (const RenderedText& rendered :
       {RenderedText(render_chatml(answer, {}).value()),
        RenderedText(render_gen(query, GenTemplate::kClean).value()), chatml_thinking_opening()}) {
    const auto encoding = tokenizer->encode(rendered);
    ASSERT_FALSE(encoding.ok());
    EXPECT_EQ(encoding.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(encoding.error().message.find("'<think>'"), std::string::npos)
        << encoding.error().message;
  }
  const auto parts = tokenizer->encode(RenderedText{"<|im_end|><|im_end|>", {{0, 20}}});
  ASSERT_FALSE(parts.ok()) << "two tokens in one span";
  EXPECT_EQ(parts.error().code, ErrorCode::kUnsupported);
}

TEST(Tokenizer, ContentWithoutControlStringsHasTheReferencesIds) {
  // What the reference does: added tokens anywhere, here only the template's own.
  const auto tokenizer = golden_tokenizer();
  Random random(43);
  for (int i = 0; i < 1'000; ++i) {
    const Conversation conversation = {
        {Role::kUser, random_text(random, 1 + below(random, 20))},
        {Role::kAssistant, random_text(random, 1 + below(random, 20))}};
    const auto rendered = render_chatml(conversation, {});
    ASSERT_TRUE(rendered.ok());
    EXPECT_EQ(tokenizer->encode(*rendered)->ids, tokenizer->encode(rendered->text, true)->ids);
  }
}

TEST(Tokenizer, AddedTokensInPlainTextOnlyWhenAskedFor) {
  const auto tokenizer = golden_tokenizer();
  const std::string text = "a<|im_start|>b";
  const auto parsed = tokenizer->encode(text, true);
  EXPECT_EQ(parsed->ids[1], *tokenizer->added_token("<|im_start|>"));
  EXPECT_EQ(parsed->offsets[1], (ByteSpan{1, 13}));
  EXPECT_GT(encode_plain(*tokenizer, text).ids.size(), 3u);
  EXPECT_FALSE(tokenizer->added_token("<|nothing|>").has_value());
  EXPECT_TRUE(encode_plain(*tokenizer, "").ids.empty());
}

TEST(Tokenizer, OneTokenizerServesManyThreads) {
  const auto tokenizer = golden_tokenizer();
  Random random(47);
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) texts.push_back(random_text(random, 40));
  std::vector<std::vector<std::vector<TokenId>>> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& ids : found) {
      threads.emplace_back([&] {
        for (const std::string& text : texts) ids.push_back(tokenizer->encode(text, false)->ids);
      });
    }
  }
  for (const auto& ids : found) EXPECT_EQ(ids, found[0]);
}

TEST(Tokenizer, Errors) {
  const auto tokenizer = golden_tokenizer();
  const auto bad = tokenizer->encode("abc\xff", false);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidUtf8);
  EXPECT_NE(bad.error().message.find("byte 3"), std::string::npos) << bad.error().message;
  for (const std::vector<ByteSpan>& control :
       {std::vector<ByteSpan>{{0, 9}}, {{2, 1}}, {{1, 2}, {0, 1}}}) {
    const auto outside = tokenizer->encode(RenderedText{"abc", control});
    ASSERT_FALSE(outside.ok());
    EXPECT_EQ(outside.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace qwen3guard::tokens
