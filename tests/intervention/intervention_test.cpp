// A model and a guard with random verdicts, both on the engine: what is left after roll-backs is
// what a run would have given that never wrote the rest, in both.
#include "qwen3guard/intervention.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "intervention/guarded_writing.h"
#include "intervention/local_writer.h"
#include "support.h"

namespace qwen3guard::intervention {
namespace {

const Conversation kSpoon = {{Role::kUser, "How do I whittle a spoon?"}};

std::filesystem::path toy() { return std::filesystem::path(QG_TEST_DATA) / "models" / "toy-gen"; }

// Hot enough that a toy model writes all kinds of tokens.
GenerateOptions hot(std::uint64_t seed) {
  return {
      .max_tokens = 60, .temperature = 2.5f, .seed = seed, .prompt = PromptFormat::kChatNoThinking};
}

// Few pairs of tokens of a random guard reach it.
Policy demanding(float threshold) {
  const auto policy = Policy::parse(R"({"version": 1, "threshold": )" + std::to_string(threshold) +
                                    R"(, "mode": "loose"})");
  EXPECT_TRUE(policy.ok());
  return *policy;
}

// Passes everything on and remembers what was asked of the writer, in order.
class Recorder final : public Writer {
 public:
  struct Step {
    std::size_t tokens;  // rolled back to
    std::string inserted;
  };
  explicit Recorder(Writer& writer) : writer_(writer) {}
  Result<std::optional<Piece>> next() override { return writer_.next(); }
  Status roll_back(std::size_t tokens) override {
    steps.push_back({tokens, ""});
    return writer_.roll_back(tokens);
  }
  Status insert(std::string_view text) override {
    const Status status = writer_.insert(text);
    if (status.ok()) steps.back().inserted = text;
    return status;
  }
  Result<std::string> ask(std::string_view question, std::size_t tokens) override {
    return writer_.ask(question, tokens);
  }
  std::size_t generated_tokens() const override { return writer_.generated_tokens(); }
  FinishReason finish() const override { return writer_.finish(); }

  std::vector<Step> steps;

 private:
  Writer& writer_;
};

class InterventionTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto generator = Generator::load(toy(), {.threads = 1});
    ASSERT_TRUE(generator.ok()) << generator.error().message;
    generator_ = std::make_unique<Generator>(*generator);
    guard_ = std::make_unique<TemporaryGuard>(test::RandomCheckpoint{.vocabulary = 2048},
                                              toy() / "tokenizer.json");
    // Its tokens are others than the generator's.
    stranger_ = std::make_unique<TemporaryGuard>(test::RandomCheckpoint{}, golden_tokenizer_file());
  }
  static void TearDownTestSuite() {
    generator_.reset();
    guard_.reset();
    stranger_.reset();
  }

  static Session open(const Guard& guard, const Policy& policy) {
    auto session = guard.open(kSpoon, policy);
    EXPECT_TRUE(session.ok()) << session.error().message;
    return std::move(session).value();
  }
  static Generation open(const GenerateOptions& options) {
    auto generation = generator_->open(kSpoon, options);
    EXPECT_TRUE(generation.ok()) << generation.error().message;
    return std::move(generation).value();
  }
  static void advance(Generation& generation, std::size_t tokens) {
    while (!generation.finished() && generation.tokens().size() < tokens)
      ASSERT_TRUE(generation.next().ok());
  }

  // The answer of a run that takes the other way at each roll-back without having gone wrong.
  static Generation straight(const GenerateOptions& options,
                             const std::vector<Recorder::Step>& steps) {
    Generation generation = open(options);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      // Roll-backs to the same place, or to what had been inserted before: the last one counts.
      bool undone = false;
      for (std::size_t later = i + 1; later < steps.size(); ++later)
        undone = undone || steps[later].tokens <= steps[i].tokens;
      if (undone) continue;
      advance(generation, steps[i].tokens);
      EXPECT_TRUE(generation.truncate(steps[i].tokens).ok());
      generation.reseed(LocalWriter::seed_after(options.seed, i + 1));
      if (!steps[i].inserted.empty()) {
        EXPECT_TRUE(generation.insert(steps[i].inserted).ok());
      }
    }
    advance(generation, options.max_tokens);
    return generation;
  }

  // Log-probabilities of other keys and values would be others.
  static void expect_same_tokens(const std::vector<GeneratedToken>& a,
                                 const std::vector<GeneratedToken>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].id, b[i].id) << i;
      EXPECT_EQ(a[i].text, b[i].text) << i;
      EXPECT_EQ(a[i].logprob, b[i].logprob) << i;
    }
  }

  static void expect_same_judgement(const Session& a, const Session& b) {
    ASSERT_EQ(a.tokens().size(), b.tokens().size());
    for (std::size_t i = 0; i < a.tokens().size(); ++i) {
      EXPECT_EQ(a.tokens()[i].id, b.tokens()[i].id) << i;
      EXPECT_EQ(a.tokens()[i].byte_begin, b.tokens()[i].byte_begin) << i;
      EXPECT_EQ(a.tokens()[i].verdict.probabilities.p, b.tokens()[i].verdict.probabilities.p) << i;
    }
    EXPECT_EQ(a.response().flagged, b.response().flagged);
  }

  static inline std::unique_ptr<Generator> generator_;
  static inline std::unique_ptr<TemporaryGuard> guard_, stranger_;
};

TEST_F(InterventionTest, RollBackOfBothIsExact) {
  std::size_t recovered = 0, retries = 0;
  for (const TemporaryGuard* guard : {guard_.get(), stranger_.get()}) {
    for (const Strategy strategy : {Strategy::kResample, Strategy::kIntrospect}) {
      for (std::uint64_t seed = 0; seed < 8; ++seed) {
        const Policy policy = demanding(0.995f);
        GenerateOptions options = hot(seed);
        if (seed % 4 == 3) options.stop = {" a", "\n\n"};
        auto local = LocalWriter::open(*generator_, kSpoon, options);
        ASSERT_TRUE(local.ok());
        Recorder writer(*local);
        Session session = open(**guard, policy);
        Witness witness;
        const auto answer =
            GuardedWriting(writer, session, kSpoon.back().content,
                           {.strategy = strategy, .buffer = 10, .then = LastResort::kProceed},
                           witness)
                .run();
        ASSERT_TRUE(answer.ok()) << answer.error().message;
        EXPECT_EQ(answer->text, witness.released_text);

        const Generation fresh = straight(options, writer.steps);
        EXPECT_EQ(answer->text, fresh.text());
        EXPECT_EQ(answer->released_tokens, fresh.tokens().size());
        expect_same_tokens(local->generation().tokens(), fresh.tokens());
        EXPECT_EQ(answer->finish, fresh.finish());

        Session judged = open(**guard, policy);
        ASSERT_TRUE(judged.append(answer->text).ok());
        ASSERT_TRUE(judged.finish().ok());
        expect_same_judgement(session, judged);
        recovered += answer->outcome == InterventionOutcome::kRecovered;
        retries += answer->retries;
      }
    }
  }
  EXPECT_GT(recovered, 5u);
  EXPECT_GT(retries, recovered);
}

TEST_F(InterventionTest, PiecesEndWhereTheTextMayBeCut) {
  GenerateOptions options = hot(4);
  options.stop = {"ee, and then"};
  auto writer = LocalWriter::open(*generator_, {{Role::kUser, "面包怎么做？"}}, options);
  ASSERT_TRUE(writer.ok());
  std::vector<std::size_t> ends = {0};
  for (;;) {
    const auto piece = writer->next();
    ASSERT_TRUE(piece.ok());
    if (!*piece) break;
    ends.push_back(ends.back() + (*piece)->tokens);
  }
  EXPECT_LT(ends.size(), ends.back()) << "some piece has several tokens";
  ends.pop_back();  // nothing follows the end
  for (; !ends.empty(); ends.pop_back()) {
    ASSERT_TRUE(writer->roll_back(ends.back()).ok());
    ASSERT_TRUE(writer->insert("x").ok());
    const auto piece = writer->next();
    ASSERT_TRUE(piece.ok() && *piece);
    EXPECT_EQ((*piece)->text, "x") << ends.back();
  }
}

TEST_F(InterventionTest, AnUnguardedAnswerIsTheGenerators) {
  const Intervention intervention(*generator_, **stranger_, Policy::strict(),
                                  {.retries = 0, .then = LastResort::kProceed});
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto answer = intervention.respond(kSpoon, hot(seed));
    const auto plain = generator_->generate(kSpoon, hot(seed));
    ASSERT_TRUE(answer.ok() && plain.ok());
    EXPECT_EQ(answer->text, plain->text);
    EXPECT_EQ(answer->finish, plain->finish);
    EXPECT_EQ(answer->generated_tokens, plain->tokens.size());
    EXPECT_EQ(answer->released_tokens, plain->tokens.size());
  }
}

TEST_F(InterventionTest, TheSameCallGivesTheSameAnswer) {
  const Intervention intervention(*generator_, **guard_, demanding(0.995f), {.buffer = 10});
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto once = intervention.respond(kSpoon, hot(seed));
    const auto again = intervention.respond(kSpoon, hot(seed));
    ASSERT_TRUE(once.ok() && again.ok());
    EXPECT_EQ(once->text, again->text);
    EXPECT_EQ(once->retries, again->retries);
    EXPECT_EQ(once->generated_tokens, again->generated_tokens);
  }
}

TEST_F(InterventionTest, EndsAtAStopString) {
  GenerateOptions options = hot(1);
  const std::string whole = generator_->generate(kSpoon, options)->text;
  options.stop = {whole.substr(whole.size() / 2, 4)};
  const Intervention intervention(*generator_, **guard_, demanding(1.0f));
  const auto answer = intervention.respond(kSpoon, options);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->text, whole.substr(0, whole.find(options.stop[0])));
  EXPECT_EQ(answer->finish, FinishReason::kStopString);
}

TEST_F(InterventionTest, SaysWhatIsWrong) {
  const auto error = [&](const Guard& guard, const InterventionOptions& options,
                         const GenerateOptions& writing, const Conversation& conversation) {
    const auto answer =
        Intervention(*generator_, guard, Policy::strict(), options).respond(conversation, writing);
    EXPECT_FALSE(answer.ok());
    return answer.ok() ? ErrorCode::kIo : answer.error().code;
  };
  EXPECT_EQ(error(**guard_, {.buffer = 0}, hot(1), kSpoon), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error(**guard_, {.strategy = Strategy::kResample}, {}, kSpoon),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error(**guard_, {}, {.max_tokens = 0}, kSpoon), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error(**guard_, {}, hot(1), {}), ErrorCode::kInvalidConversation);
  const auto gen = Guard::load(toy(), {.threads = 1});
  ASSERT_TRUE(gen.ok());
  EXPECT_EQ(error(*gen, {}, hot(1), kSpoon), ErrorCode::kUnsupported);
  const TemporaryGuard broken(test::RandomCheckpoint{.vocabulary = 2048, .broken = true},
                              toy() / "tokenizer.json");
  EXPECT_EQ(error(*broken, {}, hot(1), kSpoon), ErrorCode::kNonFinite);
}

}  // namespace
}  // namespace qwen3guard::intervention
