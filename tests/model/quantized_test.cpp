// The model in the box with quantized projections: any chunking gives the same bits, and the states
// stay near those of the stored weights.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "model/model.h"
#include "paths.h"
#include "random_checkpoint.h"

namespace qwen3guard::model {
namespace {

std::shared_ptr<const Model> load(WeightFormat format, const kernels::Kernels* kernels) {
  auto model = Model::load(boxed(), {.weights = format, .kernels = kernels});
  EXPECT_TRUE(model.ok()) << model.error().message;
  return *model;
}

std::vector<std::int32_t> some_ids(const Model& model, std::size_t count) {
  std::vector<std::int32_t> ids(count);
  std::int32_t next = 17;
  for (auto& id : ids)
    id = next = (next * 31 + 7) % static_cast<std::int32_t>(model.config().vocabulary_size);
  return ids;
}

// Final states of `ids`, fed `chunk` at a time.
std::vector<float> states(const Model& model, const std::vector<std::int32_t>& ids,
                          std::size_t chunk) {
  const std::size_t width = model.config().hidden_size;
  std::vector<float> all(ids.size() * width);
  KvCache cache = model.new_cache();
  Workspace workspace;
  base::ThreadPool pool(2);
  for (std::size_t i = 0; i < ids.size(); i += chunk) {
    const std::size_t count = std::min(chunk, ids.size() - i);
    const Status status = model.forward(std::span(ids).subspan(i, count), cache, workspace, pool,
                                        std::span(all).subspan(i * width, count * width));
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  return all;
}

TEST(Quantized, AnyChunkingGivesTheSameBits) {
  for (const kernels::Kernels* table : kernels::available_kernels()) {
    for (const WeightFormat format : {WeightFormat::kQ8, WeightFormat::kQ4}) {
      const auto model = load(format, table);
      const auto ids = some_ids(*model, 70);
      const auto whole = states(*model, ids, ids.size());
      for (const std::size_t chunk : {1u, 3u, 16u, 33u}) {
        if (table == &kernels::scalar_kernels() && chunk == 1) continue;  // slow, and 3 covers it
        EXPECT_EQ(states(*model, ids, chunk), whole) << table->name << ", chunks of " << chunk;
      }
    }
  }
}

// A value is off by up to half a step; steps are max / 127 or max / 8 of 32 weights and max / 127
// of 32 activations, and the largest of 32 normal values is about 2.5 deviations. Uniform in a
// step, the relative error of one product sum is 2.5 / levels / sqrt(12); two projections follow
// one another in each half of a layer, and the errors of the halves add as a random walk. The
// factor 2 allows for weights with a heavier tail than the normal.
double bound(double levels, std::size_t layers) {
  const double weight = 2.5 / levels / std::sqrt(12.0), activation = 2.5 / 127 / std::sqrt(12.0);
  const double one = std::sqrt(weight * weight + activation * activation);
  return 2 * one * std::sqrt(4.0 * static_cast<double>(layers));
}

// Prompts and single tokens together, of different lengths, some with states nobody reads, over
// more tokens than one chunk; one sequence has an impossible id and one is too long.
TEST(Forward, ConversationsTogetherEqualEachAloneBitForBit) {
  for (const WeightFormat format : {WeightFormat::kStored, WeightFormat::kQ4}) {
    const auto model = load(format, &kernels::active_kernels());
    const std::size_t width = model->config().hidden_size;
    const std::vector<std::size_t> held = {0, 70, 5, 0, 64, 3}, lengths = {150, 1, 40, 1, 16, 9},
                                   wanted = {1, 1, 40, 0, 7, 9};
    const auto ids = some_ids(*model, 400);
    base::ThreadPool pool(2);
    Workspace workspace;
    std::vector<KvCache> together, alone;
    std::vector<std::vector<float>> states_together, states_alone;
    std::vector<std::vector<std::int32_t>> texts;
    for (std::size_t s = 0; s < held.size(); ++s) {
      const auto at = ids.begin() + static_cast<std::ptrdiff_t>(20 * s);
      texts.emplace_back(at, at + static_cast<std::ptrdiff_t>(lengths[s]));
      for (auto* caches : {&together, &alone}) {
        KvCache& cache = caches->emplace_back(model->new_cache());
        if (held[s] == 0) continue;
        ASSERT_TRUE(model->forward(std::span(ids).first(held[s]), cache, workspace, pool, {}).ok());
      }
      states_together.emplace_back(wanted[s] * width);
      states_alone.emplace_back(wanted[s] * width);
    }
    std::vector<Sequence> batch;
    for (std::size_t s = 0; s < held.size(); ++s)
      batch.push_back({texts[s], &together[s], states_together[s]});
    const std::vector<std::int32_t> impossible = {1, -1};
    KvCache broken = model->new_cache();
    batch.insert(batch.begin() + 2, {impossible, &broken, {}});
    const std::vector<std::int32_t> long_text(model->config().max_positions + 1, 5);
    KvCache full = model->new_cache();
    batch.push_back({long_text, &full, {}});

    const auto results = model->forward(batch, workspace, pool);
    ASSERT_EQ(results.size(), batch.size());
    for (std::size_t i = 0; i < results.size(); ++i)
      EXPECT_EQ(results[i].ok(), i != 2 && i + 1 != results.size()) << i;
    EXPECT_EQ(results[2].error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(results.back().error().code, ErrorCode::kTooLong);
    EXPECT_EQ(broken.size(), 0u);
    EXPECT_EQ(full.size(), 0u);
    for (std::size_t s = 0; s < held.size(); ++s) {
      ASSERT_TRUE(model->forward(texts[s], alone[s], workspace, pool, states_alone[s]).ok());
      EXPECT_EQ(states_together[s], states_alone[s]) << s;
      EXPECT_EQ(together[s].size(), held[s] + lengths[s]);
      std::vector<float> next(width), expected(width);
      const std::vector<std::int32_t> one = {7};
      ASSERT_TRUE(model->forward(one, together[s], workspace, pool, next).ok());
      ASSERT_TRUE(model->forward(one, alone[s], workspace, pool, expected).ok());
      EXPECT_EQ(next, expected) << s;
    }
  }
}

TEST(Forward, StatesThatNobodyAsksForChangeNothing) {
  for (const WeightFormat format : {WeightFormat::kStored, WeightFormat::kQ8}) {
    const auto model = load(format, &kernels::active_kernels());
    const std::size_t width = model->config().hidden_size;
    const auto ids = some_ids(*model, 300);  // more than two of the model's own chunks
    const auto all = states(*model, ids, ids.size());
    for (const std::size_t wanted : {0u, 1u, 5u, 44u, 45u, 200u}) {
      KvCache cache = model->new_cache();
      Workspace workspace;
      base::ThreadPool pool(2);
      std::vector<float> last(wanted * width), next(width), expected(width);
      ASSERT_TRUE(model->forward(ids, cache, workspace, pool, last).ok());
      EXPECT_TRUE(std::equal(last.begin(), last.end(), all.end() - static_cast<long>(last.size())))
          << wanted;
      const std::vector<std::int32_t> one = {5};
      ASSERT_TRUE(model->forward(one, cache, workspace, pool, next).ok());
      KvCache full = model->new_cache();
      std::vector<float> scratch(ids.size() * width);
      ASSERT_TRUE(model->forward(ids, full, workspace, pool, scratch).ok());
      ASSERT_TRUE(model->forward(one, full, workspace, pool, expected).ok());
      EXPECT_EQ(next, expected) << "the cache must not depend on what was asked for";
    }
  }
}

TEST(Quantized, StatesStayWithinTheStatedError) {
  const auto stored = load(WeightFormat::kStored, &kernels::active_kernels());
  const auto ids = some_ids(*stored, 200);
  const auto exact = states(*stored, ids, ids.size());
  for (const auto& [format, levels] :
       {std::pair{WeightFormat::kQ8, 127.0}, {WeightFormat::kQ4, 8.0}}) {
    const auto model = load(format, &kernels::active_kernels());
    const auto found = states(*model, ids, ids.size());
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double difference = static_cast<double>(found[i]) - exact[i];
      error += difference * difference;
      norm += static_cast<double>(exact[i]) * exact[i];
    }
    const double relative = std::sqrt(error / norm);
    RecordProperty(format == WeightFormat::kQ8 ? "q8" : "q4", std::to_string(relative));
    EXPECT_LT(relative, bound(levels, stored->config().layers));
    EXPECT_GT(relative, 0.0) << "the weights were not quantized";
  }
}

TEST(Quantized, WidthsThatAreNoWholeBlocksAreRefused) {
  const auto directory =
      test::write_random_checkpoint({.intermediate = 48}, golden_tokenizer_file());
  const auto model = Model::load(directory, {.weights = WeightFormat::kQ8});
  std::filesystem::remove_all(directory);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(model.error().message.find("multiple of 32"), std::string::npos)
      << model.error().message;
}

// Against the rows as stored, which lm_logits of a few tokens reads.
TEST(Quantized, ThePackedLmHeadIsNearTheStoredOneAndTokensTogetherEqualEachAlone) {
  const auto path = std::filesystem::path(QG_TEST_DATA) / "models" / "toy-gen";
  base::ThreadPool pool(2);
  for (const WeightFormat format : {WeightFormat::kStored, WeightFormat::kQ8, WeightFormat::kQ4}) {
    const auto model = Model::load(path, {.weights = format});
    ASSERT_TRUE(model.ok()) << model.error().message;
    const std::size_t width = (*model)->config().hidden_size;
    const std::size_t vocabulary = (*model)->config().vocabulary_size;
    constexpr std::size_t kStates = 5;
    std::vector<float> hidden(kStates * width), together(kStates * vocabulary), alone(vocabulary);
    for (std::size_t i = 0; i < hidden.size(); ++i)
      hidden[i] = std::sin(static_cast<float>(i * i % 1000));
    Workspace workspace;
    (*model)->lm_logits(hidden, workspace, pool, together);
    std::vector<std::int32_t> rows(vocabulary);
    for (std::size_t r = 0; r < vocabulary; ++r) rows[r] = static_cast<std::int32_t>(r);
    double error = 0, norm = 0;
    for (std::size_t s = 0; s < kStates; ++s) {
      const auto state = std::span(hidden).subspan(s * width, width);
      const auto logits = std::span(together).subspan(s * vocabulary, vocabulary);
      (*model)->lm_logits(state, workspace, pool, alone);
      EXPECT_TRUE(std::equal(logits.begin(), logits.end(), alone.begin()));
      ASSERT_TRUE((*model)->lm_logits(state, rows, alone).ok());
      for (std::size_t r = 0; r < vocabulary; ++r) {
        const double difference = double{logits[r]} - double{alone[r]};
        error += difference * difference;
        norm += double{alone[r]} * double{alone[r]};
      }
    }
    // bound() is for the four projections of a layer; here is one.
    const double relative = std::sqrt(error / norm);
    EXPECT_LE(relative, format == WeightFormat::kStored ? 1e-5
                        : format == WeightFormat::kQ8   ? bound(127, 1)
                                                        : bound(8, 1));
  }
}

}  // namespace
}  // namespace qwen3guard::model
