// Generation with a trained toy model: the greedy path's text, the same bits alone and together,
// roll-back, stop strings, and errors that say what is wrong.

#include "qwen3guard/generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "bytes/utf8.h"
#include "engine/gen_moderator.h"
#include "random_checkpoint.h"

namespace qwen3guard {
namespace {

std::filesystem::path toy() { return std::filesystem::path(QG_TEST_DATA) / "models" / "toy-gen"; }

const Conversation kSpoon = {{Role::kUser, "How do I whittle a spoon?"}};
const Conversation kBread = {{Role::kSystem, "Be brief."},
                             {Role::kUser, "面包怎么做？"},
                             {Role::kAssistant, "Flour, water, salt."},
                             {Role::kUser, "And then?"}};

// Hot enough that a toy model writes all kinds of tokens.
GenerateOptions hot(std::uint64_t seed) {
  return {.max_tokens = 24, .temperature = 2.5f, .seed = seed, .logprobs = 3};
}

void expect_same(const std::vector<GeneratedToken>& a, const std::vector<GeneratedToken>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].id, b[i].id) << i;
    EXPECT_EQ(a[i].text, b[i].text) << i;
    EXPECT_EQ(a[i].logprob, b[i].logprob) << i;
    EXPECT_EQ(a[i].inserted, b[i].inserted) << i;
    ASSERT_EQ(a[i].top.size(), b[i].top.size()) << i;
    for (std::size_t t = 0; t < a[i].top.size(); ++t) {
      EXPECT_EQ(a[i].top[t].id, b[i].top[t].id);
      EXPECT_EQ(a[i].top[t].logprob, b[i].top[t].logprob);
    }
  }
}

class GeneratorTest : public testing::Test {
 protected:
  static Generator load(const GeneratorOptions& options) {
    auto generator = Generator::load(toy(), options);
    EXPECT_TRUE(generator.ok()) << generator.error().message;
    return *generator;
  }
  static void SetUpTestSuite() { generator_ = std::make_unique<Generator>(load({.threads = 1})); }
  static void TearDownTestSuite() { generator_.reset(); }

  static Generated generate(const Conversation& conversation, const GenerateOptions& options) {
    auto answer = generator_->generate(conversation, options);
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return *answer;
  }
  static Generation open(const Conversation& conversation, const GenerateOptions& options) {
    auto generation = generator_->open(conversation, options);
    EXPECT_TRUE(generation.ok()) << generation.error().message;
    return std::move(*generation);
  }
  static void advance(Generation& generation, std::size_t tokens) {
    for (std::size_t i = 0; i < tokens && !generation.finished(); ++i) {
      const auto token = generation.next();
      ASSERT_TRUE(token.ok()) << token.error().message;
    }
  }
  static ErrorCode open_error(const Conversation& conversation, const GenerateOptions& options,
                              const std::string& named) {
    const auto generation = generator_->open(conversation, options);
    EXPECT_FALSE(generation.ok());
    EXPECT_NE(generation.error().message.find(named), std::string::npos)
        << generation.error().message;
    return generation.error().code;
  }

  static inline std::unique_ptr<Generator> generator_;
};

TEST_F(GeneratorTest, GreedyWritesWhatTheGenPathWrites) {
  const auto loaded = engine::Loaded::load(toy(), {.threads = 2, .gen_method = GenMethod::kGreedy});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  std::ifstream file(std::filesystem::path(QG_TEST_DATA) / "gen.json");
  const auto golden = nlohmann::json::parse(file);
  for (std::size_t row = 0; row < golden.size(); row += 5) {
    Conversation conversation;
    for (const auto& m : golden[row]["messages"]) {
      const std::string role = m["role"];
      conversation.push_back({role == "user"        ? Role::kUser
                              : role == "assistant" ? Role::kAssistant
                                                    : Role::kSystem,
                              m["content"].get<std::string>()});
    }
    const auto expected = engine::write_gen_answer(**loaded, conversation, 128);
    ASSERT_TRUE(expected.ok()) << expected.error().message;
    const Generated answer =
        generate(conversation, {.max_tokens = 128, .prompt = PromptFormat::kGuard});
    EXPECT_EQ(answer.text, *expected);
    EXPECT_EQ(answer.finish, FinishReason::kStop);
  }
}

TEST_F(GeneratorTest, TogetherIsAloneBitForBit) {
  std::vector<GenerateRequest> requests;
  for (std::uint64_t i = 0; i < 8; ++i) {
    GenerateOptions options = hot(i);
    if (i % 3 == 0) options.temperature = 0;
    if (i % 3 == 1) options.repetition_penalty = 1.2f;
    options.max_tokens = 3 + 4 * i;
    options.prompt = i % 2 == 0 ? PromptFormat::kGuard : PromptFormat::kChat;
    requests.push_back({i % 4 < 2 ? kSpoon : kBread, options});
  }
  requests.insert(requests.begin() + 2, {{}, {}});
  for (const WeightFormat weights : {WeightFormat::kStored, WeightFormat::kQ8, WeightFormat::kQ4}) {
    const Generator together = load({.threads = 2, .weights = weights, .batch = 3});
    const Generator alone =
        load({.threads = 1, .weights = weights, .prefix_cache_bytes = 0, .batch = 1});
    const auto answers = together.generate(requests);
    ASSERT_EQ(answers.size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto expected = alone.generate(requests[i].conversation, requests[i].options);
      ASSERT_EQ(answers[i].ok(), expected.ok());
      if (!expected.ok()) {
        EXPECT_EQ(answers[i].error().code, ErrorCode::kInvalidConversation);
        continue;
      }
      EXPECT_EQ(answers[i]->text, expected->text);
      EXPECT_EQ(answers[i]->finish, expected->finish);
      EXPECT_EQ(answers[i]->prompt_tokens, expected->prompt_tokens);
      expect_same(answers[i]->tokens, expected->tokens);
    }
  }
}

TEST_F(GeneratorTest, StepsOfSeveralAnswersAreThoseOfEach) {
  Generation a = open(kSpoon, hot(1)), b = open(kBread, hot(2));
  advance(a, 4);  // b still has its prompt to read
  Generation* both[] = {&a, &b};
  for (int i = 0; i < 5; ++i) {
    for (const auto& token : generator_->next(both)) ASSERT_TRUE(token.ok());
  }
  const auto beginning = [](const Generated& whole, std::size_t size) {
    return std::vector<GeneratedToken>(whole.tokens.begin(),
                                       whole.tokens.begin() + static_cast<std::ptrdiff_t>(size));
  };
  expect_same(a.tokens(), beginning(generate(kSpoon, hot(1)), 9));
  expect_same(b.tokens(), beginning(generate(kBread, hot(2)), 5));
}

TEST_F(GeneratorTest, ARollBackGoesOnAsAFreshRunWould) {
  const Generated whole = generate(kSpoon, hot(5));
  ASSERT_EQ(whole.tokens.size(), 24u);
  Generation generation = open(kSpoon, hot(5));
  advance(generation, 24);
  EXPECT_TRUE(generation.finished());
  for (const std::size_t count : {20u, 1u, 0u, 7u}) {
    if (count > generation.tokens().size()) continue;
    ASSERT_TRUE(generation.truncate(count).ok());
    EXPECT_EQ(generation.tokens().size(), count);
    EXPECT_FALSE(generation.finished());
    advance(generation, 24);
    expect_same(generation.tokens(), whole.tokens);
    EXPECT_EQ(generation.text(), whole.text);
  }
}

TEST_F(GeneratorTest, AfterARollBackAnotherSeedGivesAnotherContinuation) {
  Generation generation = open(kSpoon, hot(5));
  advance(generation, 24);
  const auto first = generation.tokens();
  ASSERT_TRUE(generation.truncate(10).ok());
  generation.reseed(6);
  advance(generation, 24);
  const auto& second = generation.tokens();
  const auto same = [](const GeneratedToken& a, const GeneratedToken& b) { return a.id == b.id; };
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 10, second.begin(), same));
  EXPECT_FALSE(std::equal(first.begin(), first.end(), second.begin(), second.end(), same));
}

TEST_F(GeneratorTest, InsertedTextIsReadAsIfTheModelHadWrittenIt) {
  const std::string text = " Wait, 等一下: <|im_end|>";
  const auto insert_at = [&](Generation& generation, std::size_t count) {
    ASSERT_TRUE(generation.truncate(count).ok());
    ASSERT_TRUE(generation.insert(text).ok());
    advance(generation, 8);
  };
  GenerateOptions options = hot(5);
  options.max_tokens = 100;
  Generation retried = open(kSpoon, options);
  advance(retried, 24);
  insert_at(retried, 15);
  insert_at(retried, 6);
  Generation fresh = open(kSpoon, options);
  advance(fresh, 6);
  const std::string before = fresh.text();
  insert_at(fresh, 6);
  expect_same(retried.tokens(), fresh.tokens());
  EXPECT_EQ(retried.text(), fresh.text());
  EXPECT_EQ(fresh.text().find(text), before.size()) << fresh.text();
  EXPECT_TRUE(fresh.tokens()[6].inserted);
  EXPECT_FALSE(fresh.tokens().back().inserted);
  // What the model goes on with depends on it.
  const Generated plain = generate(kSpoon, hot(5));
  EXPECT_NE(fresh.tokens().back().logprob, plain.tokens[fresh.tokens().size() % 24].logprob);
}

TEST_F(GeneratorTest, TextComesInWholeCharactersAndAddsUp) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    GenerateOptions options = hot(seed);
    options.max_tokens = 60;
    std::string text;
    const auto answer = generator_->generate(kBread, options, [&](const GeneratedToken& token) {
      EXPECT_FALSE(bytes::find_invalid_utf8(token.text)) << token.text;
      text += token.text;
    });
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(text, answer->text);
    EXPECT_FALSE(text.empty());
  }
}

// Text inserted after a complete token follows the text so far; after others it would cut a
// character, or decide a stop string.
TEST_F(GeneratorTest, TokensSayWhereTheTextIsComplete) {
  GenerateOptions options = hot(4);
  options.max_tokens = 80;
  options.stop = {"ee, and then", "  "};
  Generation generation = open(kBread, options);
  advance(generation, 70);
  const auto tokens = generation.tokens();
  std::size_t complete = 0;
  for (std::size_t count = tokens.size() - 1; count-- > 1;) {
    ASSERT_TRUE(generation.truncate(count).ok());
    const std::string before = generation.text();
    ASSERT_TRUE(generation.insert("x").ok());
    EXPECT_EQ(generation.text() == before + "x", tokens[count - 1].complete) << count;
    complete += tokens[count - 1].complete;
  }
  EXPECT_GT(complete, 0u);
  EXPECT_LT(complete, tokens.size() - 2);
}

TEST_F(GeneratorTest, AStopStringEndsTheTextWhereverTokensEnd) {
  GenerateOptions options = {.max_tokens = 40, .prompt = PromptFormat::kGuard};
  const std::string whole = generate(kSpoon, options).text;
  ASSERT_GT(whole.size(), 12u) << whole;
  std::size_t spanning = 0;
  for (std::size_t at = 0; at + 5 <= whole.size(); ++at) {
    options.stop = {"nowhere in it", whole.substr(at, 5)};
    std::string told;
    const auto answer = generator_->generate(
        kSpoon, options, [&](const GeneratedToken& token) { told += token.text; });
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->finish, FinishReason::kStopString);
    EXPECT_EQ(answer->text, whole.substr(0, whole.find(options.stop[1])));
    EXPECT_EQ(told, answer->text);
    spanning += answer->tokens.size() > 1;
  }
  EXPECT_GT(spanning, 0u);
  options.stop = {"nowhere in it"};
  EXPECT_EQ(generate(kSpoon, options).text, whole);
}

TEST_F(GeneratorTest, ARollBackTakesAStopBack) {
  GenerateOptions options = {.max_tokens = 40, .prompt = PromptFormat::kGuard};
  const Generated whole = generate(kSpoon, options);
  options.stop = {whole.text.substr(4, 4)};
  Generation generation = open(kSpoon, options);
  advance(generation, 40);
  ASSERT_TRUE(generation.finished());
  EXPECT_EQ(generation.finish(), FinishReason::kStopString);
  const std::size_t tokens = generation.tokens().size();
  ASSERT_TRUE(generation.truncate(tokens - 1).ok());
  EXPECT_FALSE(generation.finished());
  advance(generation, 40);
  EXPECT_EQ(generation.finish(), FinishReason::kStopString);
  EXPECT_EQ(generation.tokens().size(), tokens);
  EXPECT_EQ(generation.text(), whole.text.substr(0, 4));
}

TEST_F(GeneratorTest, TopKOfOneIsGreedy) {
  GenerateOptions options = {.max_tokens = 24};
  const Generated greedy = generate(kBread, options);
  options.temperature = 1.5f;
  options.top_k = 1;
  expect_same(generate(kBread, options).tokens, greedy.tokens);
}

TEST_F(GeneratorTest, SeedsRepeatAndDiffer) {
  std::set<std::string> texts;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const Generated once = generate(kSpoon, hot(seed)), again = generate(kSpoon, hot(seed));
    expect_same(once.tokens, again.tokens);
    texts.insert(once.text);
  }
  EXPECT_EQ(texts.size(), 6u);
}

// So large a penalty leaves only tokens that neither the prompt nor the answer has.
TEST_F(GeneratorTest, AHugePenaltyRepeatsNothing) {
  const Generated answer = generate(kSpoon, {.max_tokens = 24, .repetition_penalty = 1e9f});
  std::set<std::int32_t> ids;
  for (const GeneratedToken& token : answer.tokens) ids.insert(token.id);
  EXPECT_EQ(ids.size(), answer.tokens.size());
}

TEST_F(GeneratorTest, LogProbabilitiesAreTheModelsOwn) {
  GenerateOptions options = hot(3);
  options.max_tokens = 6;
  options.top_k = 40;
  options.repetition_penalty = 1.3f;
  options.logprobs = 1u << 20;  // all there are
  for (const GeneratedToken& token : generate(kSpoon, options).tokens) {
    EXPECT_EQ(token.top.size(), 2048u);
    double sum = 0;
    for (std::size_t i = 0; i < token.top.size(); ++i) {
      sum += std::exp(double{token.top[i].logprob});
      if (i > 0) {
        EXPECT_LE(token.top[i].logprob, token.top[i - 1].logprob);
      }
      if (token.top[i].id == token.id) {
        EXPECT_EQ(token.top[i].logprob, token.logprob);
      }
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  for (const GeneratedToken& token : generate(kSpoon, {.max_tokens = 6, .logprobs = 2}).tokens) {
    ASSERT_EQ(token.top.size(), 2u);
    EXPECT_EQ(token.top[0].id, token.id);
    EXPECT_EQ(token.top[0].logprob, token.logprob);
  }
}

TEST_F(GeneratorTest, EndsAtMaxTokens) {
  for (const std::size_t most : {1u, 7u}) {
    GenerateOptions options = hot(1);
    options.max_tokens = most;
    const Generated answer = generate(kSpoon, options);
    EXPECT_EQ(answer.tokens.size(), most);
    EXPECT_EQ(answer.finish, FinishReason::kLength);
  }
}

TEST_F(GeneratorTest, EndsWhereTheModelsPositionsDo) {
  const auto directory = test::write_random_checkpoint({.guard = false, .max_positions = 40},
                                                       toy() / "tokenizer.json");
  const auto generator = Generator::load(directory, {.threads = 1});
  ASSERT_TRUE(generator.ok()) << generator.error().message;
  const auto answer = generator->generate({{Role::kUser, "Hi"}}, {});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->finish, FinishReason::kLength);
  EXPECT_EQ(answer->prompt_tokens + answer->tokens.size(), 40u);
  std::filesystem::remove_all(directory);
}

TEST_F(GeneratorTest, BrokenWeightsAreAnError) {
  const auto directory =
      test::write_random_checkpoint({.guard = false, .broken = true}, toy() / "tokenizer.json");
  const auto generator = Generator::load(directory, {.threads = 1});
  ASSERT_TRUE(generator.ok()) << generator.error().message;
  auto generation = generator->open(kSpoon, {});
  ASSERT_TRUE(generation.ok());
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto token = generation->next();
    ASSERT_FALSE(token.ok());
    EXPECT_EQ(token.error().code, ErrorCode::kNonFinite);
  }
  std::filesystem::remove_all(directory);
}

TEST_F(GeneratorTest, AStreamModelWritesNoText) {
  const auto generator = Generator::load(
      std::filesystem::path(QG_SOURCE_DIR) / "models" / "qwen3guard-stream-mini", {.threads = 1});
  ASSERT_FALSE(generator.ok());
  EXPECT_EQ(generator.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(generator.error().message.find("Qwen3ForCausalLM"), std::string::npos);
}

TEST_F(GeneratorTest, RefusesWhatMakesNoSense) {
  EXPECT_EQ(open_error(kSpoon, {.max_tokens = 0}, "max_tokens"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(open_error(kSpoon, {.temperature = -1}, "temperature"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(open_error(kSpoon, {.stop = {"a", ""}}, "stop"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(open_error(kSpoon, {.stop = {"\xE4"}}, "stop"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(open_error({}, {}, "user's"), ErrorCode::kInvalidConversation);
  EXPECT_EQ(open_error({{Role::kUser, "Hi"}, {Role::kAssistant, "Hello"}}, {}, "user's"),
            ErrorCode::kInvalidConversation);
  EXPECT_EQ(open_error({{Role::kUser, "a\xFF"}}, {}, "UTF-8"), ErrorCode::kInvalidUtf8);
  std::string words;
  for (int i = 0; i < 5000; ++i) words += "word " + std::to_string(i);
  EXPECT_EQ(open_error({{Role::kUser, words}}, {}, "4096"), ErrorCode::kTooLong);
}

TEST_F(GeneratorTest, CallsAtTheWrongTimeChangeNothing) {
  Generation generation = open(kSpoon, {.max_tokens = 3});
  const Status longer = generation.truncate(1);
  ASSERT_FALSE(longer.ok());
  EXPECT_EQ(longer.error().code, ErrorCode::kInvalidArgument);
  const Status inserted = generation.insert("much more than three tokens have room for");
  ASSERT_FALSE(inserted.ok());
  EXPECT_EQ(inserted.error().code, ErrorCode::kTooLong);
  advance(generation, 3);
  ASSERT_TRUE(generation.finished());
  const auto more = generation.next();
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(generation.insert("x").error().code, ErrorCode::kInvalidState);
  EXPECT_EQ(generation.tokens().size(), 3u);
  expect_same(generation.tokens(), generate(kSpoon, {.max_tokens = 3}).tokens);
}

}  // namespace
}  // namespace qwen3guard
