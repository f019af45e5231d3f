// A run that was stopped, or killed, and taken up again ends with the same bits.
#include "bytes/atomic_file.h"
#include "bytes/json.h"
#include "support.h"
#include "training/evaluate.h"
#include "training/state.h"
#include "training/trainer.h"

namespace qwen3guard::training {
namespace {

class ResumeTest : public testing::Test {
 protected:
  ResumeTest() {
    recipe_.optimizer.steps = 30;
    recipe_.optimizer.learning_rate = 5e-3;
    recipe_.optimizer.validate_every = 10;
    recipe_.loss.pooled = 0.3;
    recipe_.augmentation.as_response = 0.3;
    recipe_.augmentation.as_response_sources = {"prompts"};
  }
  Result<TrainReport> train(TrainOptions options) const {
    options.save_every = 7;
    return train_guard(recipe_, "same", examples_, *tokenizer_, options, {});
  }
  static std::string bytes_of(const std::filesystem::path& path) {
    return bytes::read_file(path, 1 << 26).value();
  }
  std::shared_ptr<const tokens::Tokenizer> tokenizer_ = tiny_tokenizer();
  ExampleSet examples_ = tiny_examples(*tokenizer_, 120);
  Recipe recipe_ = tiny_recipe();
};

TEST_F(ResumeTest, StoppedAndResumedEqualsUninterrupted) {
  const auto folder = test_folder();
  TrainOptions whole, parts;
  whole.out = folder / "whole";
  parts.out = folder / "parts";
  const auto once = train(whole);
  ASSERT_TRUE(once.ok()) << once.error().message;
  EXPECT_TRUE(once->finished);
  parts.stop_after = 11;
  for (int i = 0; i < 3; ++i) {
    const auto part = train(parts);
    ASSERT_TRUE(part.ok()) << part.error().message;
    EXPECT_EQ(part->finished, i == 2);
  }
  for (const char* file :
       {"final/model.safetensors", "best/model.safetensors", "final/config.json"}) {
    EXPECT_EQ(bytes_of(whole.out / file), bytes_of(parts.out / file)) << file;
  }
  const auto a = load_state(whole.out / "state.safetensors", "same");
  const auto b = load_state(parts.out / "state.safetensors", "same");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->weights, b->weights);
  EXPECT_EQ(a->optimizer.second, b->optimizer.second);
  EXPECT_EQ(a->position, b->position);
}

TEST_F(ResumeTest, KilledBetweenStatesEqualsUninterrupted) {
  const auto folder = test_folder();
  TrainOptions whole, killed;
  whole.out = folder / "whole";
  killed.out = folder / "killed";
  ASSERT_TRUE(train(whole).ok());
  // Up to step 14, where a state was written; the steps after it are lost with the kill.
  killed.stop_after = 14;
  ASSERT_TRUE(train(killed).ok());
  const auto saved = bytes_of(killed.out / "state.safetensors");
  killed.stop_after = 5;
  ASSERT_TRUE(train(killed).ok());
  ASSERT_TRUE(bytes::write_file_atomically(killed.out / "state.safetensors", saved).ok());
  killed.stop_after = 0;
  ASSERT_TRUE(train(killed).ok());
  EXPECT_EQ(bytes_of(whole.out / "final/model.safetensors"),
            bytes_of(killed.out / "final/model.safetensors"));
}

TEST_F(ResumeTest, ThreadsDoNotChangeTheResult) {
  const auto folder = test_folder();
  recipe_.optimizer.batches_per_step = 3;
  TrainOptions one, two;
  one.out = folder / "one";
  two.out = folder / "two";
  two.threads = 2;
  ASSERT_TRUE(train(one).ok());
  ASSERT_TRUE(train(two).ok());
  EXPECT_EQ(bytes_of(one.out / "final/model.safetensors"),
            bytes_of(two.out / "final/model.safetensors"));
}

TEST_F(ResumeTest, LearnsAndExportsWhatItValidated) {
  const auto folder = test_folder();
  recipe_.optimizer.steps = 120;
  recipe_.optimizer.average_decay = 0.9;
  recipe_.augmentation.replace_tokens = 0.0;
  TrainOptions options;
  options.out = folder;
  const auto report = train(options);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_GT(report->best, 0.9);
  const auto scorer =
      Scorer::open(folder / "best", tokenizer_->vocabulary_size(), Precision::kFloat32);
  ASSERT_TRUE(scorer.ok()) << scorer.error().message;
  const auto table = figures_by_source(examples_.validation, examples_.sources,
                                       scorer->score(examples_.validation));
  EXPECT_GT(table.at("prompts").auroc.value_or(0), 0.9);
  EXPECT_TRUE(std::filesystem::exists(folder / "curves.svg"));
}

TEST_F(ResumeTest, AnotherRunsStateIsRefused) {
  const auto folder = test_folder();
  TrainOptions options;
  options.out = folder;
  options.stop_after = 3;
  ASSERT_TRUE(train(options).ok());
  const auto other = train_guard(recipe_, "another", examples_, *tokenizer_, options, {});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
  // A cut state is an error too, not a fresh start.
  std::filesystem::resize_file(folder / "state.safetensors", 1000);
  EXPECT_FALSE(train(options).ok());
}

TEST_F(ResumeTest, StartsFromACheckpoint) {
  const auto folder = test_folder();
  TrainOptions first;
  first.out = folder / "first";
  ASSERT_TRUE(train(first).ok());
  recipe_.optimizer.steps = 1;
  recipe_.optimizer.learning_rate = 0;
  recipe_.optimizer.average_decay = 0;
  TrainOptions second;
  second.out = folder / "second";
  second.init = folder / "first/final";
  ASSERT_TRUE(train(second).ok());
  EXPECT_EQ(bytes_of(first.out / "final/model.safetensors"),
            bytes_of(second.out / "final/model.safetensors"));
}

}  // namespace
}  // namespace qwen3guard::training
