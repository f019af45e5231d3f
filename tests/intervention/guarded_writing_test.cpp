// The loop, with a writer of scripted digits and a guard to which the token 9 is Unsafe: two of
// them in a row are a flag.
#include "intervention/guarded_writing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support.h"
#include "tokens/tokenizer.h"

namespace qwen3guard::intervention {
namespace {

const Conversation kPrompt = {{Role::kUser, "Count."}};

class GuardedWritingTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { guard_ = digits(2048); }
  static void TearDownTestSuite() { guard_.reset(); }

  static std::unique_ptr<TemporaryGuard> digits(std::size_t max_positions) {
    const auto tokenizer = tokens::Tokenizer::load(golden_tokenizer_file().parent_path());
    EXPECT_TRUE(tokenizer.ok());
    test::RandomCheckpoint shape;
    shape.max_positions = max_positions;
    shape.unsafe = (*tokenizer)->encode("9", false)->ids;
    EXPECT_EQ(shape.unsafe.size(), 1u);
    return std::make_unique<TemporaryGuard>(shape, golden_tokenizer_file());
  }

  static Result<GuardedAnswer> try_run(Writer& writer, const InterventionOptions& options,
                                       InterventionObserver& observer,
                                       const Guard& guard = **guard_) {
    auto session = guard.open(kPrompt, Policy::strict());
    EXPECT_TRUE(session.ok()) << session.error().message;
    return GuardedWriting(writer, *session, "Count.", options, observer).run();
  }

  // What holds however an answer went.
  static GuardedAnswer run(ScriptedWriter& writer, const InterventionOptions& options,
                           Witness& witness) {
    const auto answer = try_run(writer, options, witness);
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->text, witness.released_text);
    EXPECT_EQ(answer->retries, writer.roll_backs.size());
    EXPECT_LE(answer->retries, options.retries);
    EXPECT_EQ(answer->wait_tokens(), options.buffer * (answer->retries + 1));
    EXPECT_EQ(answer->additional_wait_tokens(), options.buffer * answer->retries);
    EXPECT_EQ(answer->generated_tokens, answer->released_tokens + answer->discarded_tokens);
    for (std::size_t i = 0; i < writer.roll_backs.size(); ++i)
      EXPECT_EQ(writer.roll_backs[i], witness.released_at_discard[i].size());
    if (answer->outcome != InterventionOutcome::kProceeded) {
      EXPECT_EQ(answer->text.find("99"), std::string::npos) << answer->text;
    }
    return *answer;
  }
  static GuardedAnswer run(std::vector<std::string> tries, const InterventionOptions& options) {
    ScriptedWriter writer(std::move(tries));
    Witness witness;
    return run(writer, options, witness);
  }

  static inline std::unique_ptr<TemporaryGuard> guard_;
};

TEST_F(GuardedWritingTest, SafeTextIsReleasedABufferLater) {
  const std::string text = "12345 67819 23456 79812 34567";
  for (const std::size_t buffer : {1u, 4u, 10u, 100u}) {
    for (const std::size_t bytes : {1u, 3u}) {
      struct Lag final : Witness {
        Status released(std::string_view piece) override {
          const std::size_t before = released_text.size();
          Witness::released(piece).ok();
          const bool at_the_end =
              writer->generated_tokens() == size && before + piece.size() == size;
          if (at_the_end) return {};
          EXPECT_GE(writer->written.size(), released_text.size() + buffer);
          EXPECT_LE(writer->written.size(), before + buffer + slack);
          return {};
        }
        ScriptedWriter* writer = nullptr;
        std::size_t size = 0, buffer = 0, slack = 0;
      };
      ScriptedWriter writer({text}, bytes);
      Lag witness;
      witness.writer = &writer;
      witness.size = text.size();
      witness.buffer = buffer;
      witness.slack = bytes + 4;  // what the guard still holds
      const GuardedAnswer answer = run(writer, {.buffer = buffer}, witness);
      EXPECT_EQ(answer.text, text);
      EXPECT_EQ(answer.outcome, InterventionOutcome::kClean);
      EXPECT_EQ(answer.finish, FinishReason::kLength);
      EXPECT_EQ(answer.response.decision, Decision::kAllow);
      EXPECT_EQ(answer.released_tokens, text.size());
      EXPECT_EQ(answer.discarded_tokens, 0u);
    }
  }
}

// However short the buffer: a word is judged when it has ended, and the newest judged token may be
// half of a flag.
TEST_F(GuardedWritingTest, OnlyWhatIsCertainlyJudgedIsReleased) {
  struct Judged final : Witness {
    Status released(std::string_view piece) override {
      Witness::released(piece).ok();
      if (released_text != text) {
        EXPECT_LE(released_text.size(), session->tokens().back().byte_begin);
      }
      return {};
    }
    Session* session = nullptr;
    std::string text;
  };
  Judged witness;
  witness.text =
      "12 incomprehensibilities of antidisestablishmentarianism, 3 e\xcc\x81 \xe5\xbd\x93 4";
  auto session = (*guard_)->open(kPrompt, Policy::strict());
  ASSERT_TRUE(session.ok());
  witness.session = &*session;
  ScriptedWriter writer({witness.text});
  const InterventionOptions options = {.buffer = 1};
  const auto answer = GuardedWriting(writer, *session, "", options, witness).run();
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->text, witness.text);
}

TEST_F(GuardedWritingTest, AFlagTakesTheBufferBackAndTheNextTryIsWritten) {
  ScriptedWriter writer({"0123456789012399456", "7777"});
  Witness witness;
  const GuardedAnswer answer = run(writer, {.strategy = Strategy::kResample, .buffer = 5}, witness);
  EXPECT_EQ(answer.outcome, InterventionOutcome::kRecovered);
  EXPECT_EQ(answer.retries, 1u);
  ASSERT_EQ(witness.discarded_texts.size(), 1u);
  EXPECT_EQ(witness.released_text, witness.released_at_discard[0] + "7777");
  const std::string taken = witness.released_at_discard[0] + witness.discarded_texts[0];
  EXPECT_EQ(taken.substr(0, 16), "0123456789012399");
  EXPECT_GE(witness.discarded_texts[0].size(), 5u);
  EXPECT_EQ(answer.discarded_tokens, witness.discarded_texts[0].size());
  EXPECT_TRUE(writer.questions.empty());
}

TEST_F(GuardedWritingTest, StopEndsTheAnswerBeforeTheBuffer) {
  ScriptedWriter writer({"0123456789012399456", "7777"});
  Witness witness;
  const GuardedAnswer answer = run(
      writer, {.strategy = Strategy::kStop, .buffer = 5, .then = LastResort::kProceed}, witness);
  EXPECT_EQ(answer.outcome, InterventionOutcome::kStopped);
  EXPECT_EQ(answer.retries, 0u);
  EXPECT_EQ(answer.wait_tokens(), 5u);
  EXPECT_EQ(answer.additional_wait_tokens(), 0u);
  EXPECT_EQ(std::string("01234567890123").find(answer.text), 0u);
  EXPECT_GE(answer.text.size(), 9u);
  EXPECT_EQ(answer.response.decision, Decision::kBlock);
  ASSERT_TRUE(answer.response.flagged);
  EXPECT_EQ(answer.response.flagged->byte, 15u);
}

TEST_F(GuardedWritingTest, RetriesAreBoundedAndThenTheOperatorDecides) {
  const std::string text = "01234567991234";
  for (const std::size_t retries : {0u, 1u, 5u}) {
    const auto give_up = [&](LastResort then) {
      return run({text, "99", "5599", "99", "99", "1299"}, {.strategy = Strategy::kResample,
                                                            .buffer = 4,
                                                            .retries = retries,
                                                            .then = then,
                                                            .replacement = "[no]"});
    };
    const GuardedAnswer stopped = give_up(LastResort::kStop);
    EXPECT_EQ(stopped.outcome, InterventionOutcome::kStopped);
    EXPECT_EQ(stopped.retries, retries);
    EXPECT_EQ(text.find(stopped.text), 0u);
    EXPECT_LE(stopped.text.size(), 7u);

    const GuardedAnswer replaced = give_up(LastResort::kReplace);
    EXPECT_EQ(replaced.outcome, InterventionOutcome::kReplaced);
    EXPECT_EQ(replaced.text, stopped.text + "[no]");

    const GuardedAnswer proceeded = give_up(LastResort::kProceed);
    EXPECT_EQ(proceeded.outcome, InterventionOutcome::kProceeded);
    EXPECT_EQ(proceeded.retries, retries);
    EXPECT_EQ(proceeded.finish, FinishReason::kLength);
    EXPECT_EQ(proceeded.response.decision, Decision::kBlock);
    if (retries == 0) {
      EXPECT_EQ(proceeded.text, text);
    }
  }
}

TEST_F(GuardedWritingTest, RetriesAreCountedOverTheWholeAnswer) {
  const std::string first = std::string(20, '1') + "99", second = std::string(20, '2') + "99";
  const GuardedAnswer answer =
      run({first, second, "33"}, {.strategy = Strategy::kResample, .buffer = 3, .retries = 1});
  EXPECT_EQ(answer.outcome, InterventionOutcome::kStopped);
  EXPECT_NE(answer.text.find("12"), std::string::npos) << answer.text;
  EXPECT_EQ(answer.retries, 1u);
}

TEST_F(GuardedWritingTest, AnAnswerMayEndInsideTheBuffer) {
  const InterventionOptions options = {.strategy = Strategy::kResample};
  EXPECT_EQ(run({"", "1"}, options).text, "");
  EXPECT_EQ(run({"", "1"}, options).outcome, InterventionOutcome::kClean);
  EXPECT_EQ(run({"12", "3"}, options).text, "12");
  // Judged only when the guard hears that nothing follows.
  const GuardedAnswer recovered = run({"1299", "345"}, options);
  EXPECT_EQ(recovered.text, "345");
  EXPECT_EQ(recovered.outcome, InterventionOutcome::kRecovered);
  EXPECT_EQ(run({"1299", ""}, options).text, "");
  const GuardedAnswer proceeded =
      run({"1299"}, {.buffer = 40, .retries = 0, .then = LastResort::kProceed});
  EXPECT_EQ(proceeded.text, "1299");
  EXPECT_EQ(proceeded.outcome, InterventionOutcome::kProceeded);
}

TEST_F(GuardedWritingTest, IntrospectionIsAskedForJudgedAndReleased) {
  ScriptedWriter writer({"01234567890123991", "99", "777"});
  writer.criticism = "000600";
  Witness witness;
  const GuardedAnswer answer = run(writer, {.buffer = 4}, witness);
  EXPECT_EQ(answer.retries, 2u);
  EXPECT_EQ(answer.outcome, InterventionOutcome::kRecovered);
  ASSERT_EQ(writer.questions.size(), 2u);
  const std::string& kept = witness.released_at_discard[0];
  EXPECT_EQ(writer.questions[0],
            introspection_question("Count.", kept + witness.discarded_texts[0]));
  EXPECT_NE(writer.questions[0].find("User Query: Count. Your Prior Response: 0123"),
            std::string::npos);
  EXPECT_EQ(witness.introspections, (std::vector<std::string>{"0006", "0006"}));
  EXPECT_EQ(answer.text.rfind("0006777"), answer.text.size() - 7) << answer.text;

  ScriptedWriter criticised({"1299", "99", "77"});
  criticised.criticism = "99";  // flagged itself
  EXPECT_EQ(run(criticised, {.buffer = 4, .retries = 2}, witness = {}).outcome,
            InterventionOutcome::kStopped);
  EXPECT_EQ(criticised.roll_backs.size(), 2u);

  ScriptedWriter full({"1299", "77"});
  full.no_place = true;
  const GuardedAnswer without = run(full, {.buffer = 4}, witness = {});
  EXPECT_EQ(without.text, "77");
  EXPECT_TRUE(witness.introspections.empty());
}

// Every strategy, buffer and cut into pieces: run() checks that nothing of a flag was released.
TEST_F(GuardedWritingTest, NothingFlaggedIsReleasedWhateverComes) {
  std::mt19937 random(3);
  const auto text = [&] {
    std::string digits(std::uniform_int_distribution<std::size_t>(0, 60)(random), '1');
    for (char& digit : digits) {
      const int drawn = std::uniform_int_distribution<int>(0, 5)(random);
      digit = drawn == 0 ? '9' : drawn == 1 ? 'a' : static_cast<char>('0' + drawn);
    }
    return digits;
  };
  std::size_t outcomes[5] = {};
  for (int round = 0; round < 150; ++round) {
    const std::size_t bytes = 1 + static_cast<std::size_t>(round) % 3;
    ScriptedWriter writer({text(), text(), text(), text()}, bytes);
    writer.criticism = text();
    const InterventionOptions options = {
        .strategy = static_cast<Strategy>(round % 3),
        .buffer = 1 + static_cast<std::size_t>(round) % 7,
        .retries = static_cast<std::size_t>(round) % 4,
        .then = round % 2 == 0 ? LastResort::kStop : LastResort::kReplace};
    Witness witness;
    ++outcomes[static_cast<std::size_t>(run(writer, options, witness).outcome)];
  }
  EXPECT_GT(outcomes[0], 0u);
  EXPECT_GT(outcomes[1], 0u);
  EXPECT_GT(outcomes[2], 0u);
  EXPECT_GT(outcomes[3], 0u);
}

TEST_F(GuardedWritingTest, ErrorsEndTheAnswerAndNothingMoreIsReleased) {
  const std::string text(60, '1');
  {
    const auto small = digits(48);  // positions, of which the prompt takes some
    ScriptedWriter writer({text});
    Witness witness;
    const auto answer = try_run(writer, {.buffer = 4}, witness, **small);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kTooLong);
    EXPECT_GT(witness.released_text.size(), 0u);
    EXPECT_LE(witness.released_text.size() + 4, writer.written.size());
    // To the very token, which is the one that closes the answer.
    std::size_t judged = 0;
    for (std::size_t size = 0; size < text.size(); ++size) {
      Conversation whole = kPrompt;
      whole.push_back({Role::kAssistant, text.substr(0, size)});
      ScriptedWriter some({whole.back().content});
      const bool fits = (**small).moderate(whole, Policy::strict()).ok();
      EXPECT_EQ(try_run(some, {.buffer = 4}, witness, **small).ok(), fits) << size;
      judged += fits;
    }
    EXPECT_GT(judged, 0u);
    EXPECT_LT(judged, text.size());
  }
  {
    ScriptedWriter writer(
        {"1234567890\xff"
         "1234"});
    Witness witness;
    const auto answer = try_run(writer, {.buffer = 2, .then = LastResort::kProceed}, witness);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidUtf8);
    EXPECT_EQ(std::string("12345678").find(witness.released_text), 0u);
  }
  {
    ScriptedWriter writer({text});
    writer.fails_after = 20;
    Witness witness;
    const auto answer = try_run(writer, {.buffer = 4}, witness);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kNonFinite);
    EXPECT_LE(witness.released_text.size(), 16u);
  }
  {
    struct Gone final : Witness {
      Status released(std::string_view) override { return Error{ErrorCode::kIo, "gone"}; }
    } gone;
    ScriptedWriter writer({text});
    EXPECT_EQ(try_run(writer, {.buffer = 4}, gone).error().code, ErrorCode::kIo);
    EXPECT_LT(writer.generated_tokens(), 12u);
  }
}

}  // namespace
}  // namespace qwen3guard::intervention
