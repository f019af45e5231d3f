// Parity with the reference implementation (reference/export_model_goldens.py), layer by layer, on
// every instruction set. The first layer that diverges is the one that the failure names.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>

#include "heads/stream_heads.h"
#include "model/model.h"

namespace qwen3guard::model {
namespace {

std::vector<float> floats(const bytes::TensorView& view) {
  std::vector<float> values(static_cast<std::size_t>(view.elements()));
  std::memcpy(values.data(), view.data.data(), view.data.size());
  return values;
}

// Rounding enters each layer through sums of at most `widest` products, whose errors behave as a
// random walk (sqrt), and layers add up. The factor 8 covers the norms' and the softmax's own
// operations.
double tolerance(const ModelConfig& config, std::size_t layers_done,
                 std::span<const float> reference) {
  const double widest = static_cast<double>(
      std::max({config.hidden_size, config.intermediate_size, config.query_width()}));
  double largest = 1.0;
  for (const float v : reference) largest = std::max(largest, static_cast<double>(std::abs(v)));
  return 8 * static_cast<double>(std::numeric_limits<float>::epsilon()) *
         static_cast<double>(layers_done + 1) * std::sqrt(widest) * largest;
}

struct Case {
  std::string model;
  const kernels::Kernels* kernels;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model :
       {"gen-tied-f32", "gen-untied-bf16", "stream-bf16", "stream-sharded-f16"}) {
    for (const kernels::Kernels* table : kernels::available_kernels())
      all.push_back({model, table});
  }
  return all;
}

class GoldenTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const std::filesystem::path directory =
        std::filesystem::path(QG_TEST_DATA) / "models" / GetParam().model;
    auto model = Model::load(directory, {.kernels = GetParam().kernels});
    ASSERT_TRUE(model.ok()) << model.error().message;
    model_ = *model;
    auto golden = bytes::SafetensorsFile::open(directory / "golden.safetensors");
    ASSERT_TRUE(golden.ok()) << golden.error().message;
    golden_.emplace(std::move(golden).value());
  }

  const bytes::TensorView* golden(int c, const std::string& name) const {
    return golden_->find("case" + std::to_string(c) + "." + name);
  }

  void expect_near(int c, const std::string& name, std::span<const float> got,
                   std::size_t layers_done) {
    const bytes::TensorView* view = golden(c, name);
    ASSERT_NE(view, nullptr) << name;
    const std::vector<float> reference = floats(*view);
    ASSERT_EQ(reference.size(), got.size()) << name;
    const double bound = tolerance(model_->config(), layers_done, reference);
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], reference[i], bound)
          << GetParam().model << " case " << c << ": first divergence at " << name << " element "
          << i;
    }
  }

  std::shared_ptr<const Model> model_;
  std::optional<bytes::SafetensorsFile> golden_;
};

TEST_P(GoldenTest, MatchesTheReferenceLayerByLayer) {
  base::ThreadPool pool(2);
  const ModelConfig& config = model_->config();
  int c = 0;
  for (; golden(c, "ids") != nullptr; ++c) {
    const bytes::TensorView& view = *golden(c, "ids");
    std::vector<std::int32_t> ids(static_cast<std::size_t>(view.elements()));
    std::memcpy(ids.data(), view.data.data(), view.data.size());

    KvCache cache(config);
    Workspace workspace;
    std::vector<float> hidden(ids.size() * config.hidden_size);
    const auto observe = [&](std::size_t layer, std::span<const float> states) {
      std::string number = std::to_string(layer == 0 ? 0 : layer - 1);
      number.insert(0, 2 - std::min<std::size_t>(2, number.size()), '0');
      expect_near(c, layer == 0 ? "embed" : "layer" + number, states, layer);
    };
    const Status status = model_->forward(ids, cache, workspace, pool, hidden, observe);
    ASSERT_TRUE(status.ok()) << status.error().message;
    expect_near(c, "final", hidden, config.layers);

    if (!config.guard) {
      std::vector<float> logits(ids.size() * config.vocabulary_size);
      model_->lm_logits(hidden, workspace, pool, logits);
      expect_near(c, "logits", logits, config.layers + 1);
      continue;
    }
    const auto heads = heads::StreamHeads::load(model_);
    ASSERT_TRUE(heads.ok()) << heads.error().message;
    std::vector<float> risk, category, query_risk, query_category;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const auto state = std::span(hidden).subspan(t * config.hidden_size, config.hidden_size);
      const auto response = heads->response(state);
      const auto query = heads->query(state);
      ASSERT_TRUE(response.ok() && query.ok());
      risk.insert(risk.end(), response->risk.begin(), response->risk.end());
      category.insert(category.end(), response->category.begin(),
                      response->category.begin() + kResponseCategoryCount);
      query_risk.insert(query_risk.end(), query->risk.begin(), query->risk.end());
      query_category.insert(query_category.end(), query->category.begin(), query->category.end());
    }
    expect_near(c, "risk", risk, config.layers + 2);
    expect_near(c, "category", category, config.layers + 2);
    expect_near(c, "query_risk", query_risk, config.layers + 2);
    expect_near(c, "query_category", query_category, config.layers + 2);
  }
  EXPECT_GE(c, 3);
}

TEST_P(GoldenTest, AnyChunkingGivesTheSameStatesBitForBit) {
  const ModelConfig& config = model_->config();
  std::vector<std::int32_t> ids(300);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(i * 37 % config.vocabulary_size);
  }
  const auto run = [&](const std::vector<std::size_t>& chunks, int threads) {
    base::ThreadPool pool(threads);
    KvCache cache(config);
    Workspace workspace;
    std::vector<float> hidden(ids.size() * config.hidden_size);
    std::size_t done = 0;
    for (std::size_t i = 0; done < ids.size(); ++i) {
      const std::size_t n = std::min(chunks[i % chunks.size()], ids.size() - done);
      EXPECT_TRUE(model_
                      ->forward(std::span(ids).subspan(done, n), cache, workspace, pool,
                                std::span(hidden).subspan(done * config.hidden_size,
                                                          n * config.hidden_size))
                      .ok());
      done += n;
    }
    return hidden;
  };
  const std::vector<float> whole = run({300}, 2);
  EXPECT_EQ(whole, run({1}, 2));
  EXPECT_EQ(whole, run({16}, 1));
  EXPECT_EQ(whole, run({1, 63, 2, 64, 65}, 3));
}

TEST_P(GoldenTest, TruncateAndForkEqualAFreshPass) {
  const ModelConfig& config = model_->config();
  base::ThreadPool pool(1);
  Workspace workspace;
  const auto read = [&](KvCache& cache, const std::vector<std::int32_t>& ids) {
    std::vector<float> hidden(ids.size() * config.hidden_size);
    EXPECT_TRUE(model_->forward(ids, cache, workspace, pool, hidden).ok());
    return hidden;
  };
  std::vector<std::int32_t> prefix(100), left(30), right(30);
  for (std::size_t i = 0; i < prefix.size(); ++i) prefix[i] = static_cast<std::int32_t>(i);
  for (std::size_t i = 0; i < 30; ++i) {
    left[i] = static_cast<std::int32_t>(200 + i);
    right[i] = static_cast<std::int32_t>(100 - i);
  }
  KvCache fresh_left(config), fresh_right(config), cache(config);
  read(fresh_left, prefix);
  read(fresh_right, prefix);
  const std::vector<float> expected_left = read(fresh_left, left);
  const std::vector<float> expected_right = read(fresh_right, right);

  read(cache, prefix);
  KvCache fork = cache.fork();
  EXPECT_EQ(read(cache, left), expected_left);
  EXPECT_EQ(read(fork, right), expected_right) << "the fork saw its sibling's writes";
  cache.truncate(prefix.size());
  EXPECT_EQ(read(cache, right), expected_right);
  fork.truncate(prefix.size());
  EXPECT_EQ(read(fork, left), expected_left);
}

TEST_P(GoldenTest, ForeignIdsAndOverlongInputAreErrorsThatLeaveTheCacheAlone) {
  const ModelConfig& config = model_->config();
  base::ThreadPool pool(1);
  Workspace workspace;
  KvCache cache(config);
  std::vector<float> hidden(2 * config.hidden_size);
  for (const std::int32_t bad : {-1, static_cast<std::int32_t>(config.vocabulary_size)}) {
    const std::vector<std::int32_t> ids = {1, bad};
    const Status status = model_->forward(ids, cache, workspace, pool, hidden);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  }
  const std::vector<std::int32_t> long_ids(config.max_positions + 1, 1);
  std::vector<float> long_hidden(long_ids.size() * config.hidden_size);
  const Status status = model_->forward(long_ids, cache, workspace, pool, long_hidden);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kTooLong);
  EXPECT_EQ(cache.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(AllCheckpoints, GoldenTest, testing::ValuesIn(cases()),
                         [](const auto& param) {
                           std::string name = param.param.model + "_" + param.param.kernels->name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace qwen3guard::model
