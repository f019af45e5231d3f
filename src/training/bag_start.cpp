#include "training/bag_start.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/try.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard::training {
namespace {

constexpr float kHeadRate = 0.1f;
constexpr float kEmbeddingRate = 0.05f;
constexpr float kEpsilon = 1e-6f;
// The template's "<|im_start|>user\n" says nothing.
constexpr std::size_t kTemplateTokens = 3;
// Context and answer beyond this are too long ago to matter for a bag.
constexpr std::size_t kBagTokens = 256;

struct BagRow {
  std::span<const std::int64_t> ids;
  std::size_t head;  // 0 query, 1 response
  std::size_t risk;
};

// Every judged place of the batch once: a query at its end, a response at its last token.
std::vector<BagRow> rows_of(const Batch& batch) {
  std::vector<BagRow> rows;
  const auto add = [&](const Batch::Judged& judged, std::size_t head) {
    const auto position = static_cast<std::size_t>(judged.position);
    const std::size_t begin = position / batch.length * batch.length + kTemplateTokens;
    const std::size_t first = std::max(begin, position > kBagTokens ? position - kBagTokens : 0);
    if (first >= position) return;
    rows.push_back({std::span(batch.ids).subspan(first, position - first), head,
                    static_cast<std::size_t>(std::ranges::max_element(judged.target) -
                                             judged.target.begin())});
  };
  for (const auto& judged : batch.queries) add(judged, 0);
  for (std::size_t i = 0; i < batch.responses.size(); ++i) {
    const bool last = i + 1 == batch.responses.size() ||
                      batch.responses[i + 1].sequence != batch.responses[i].sequence;
    if (last) add(batch.responses[i], 1);
  }
  return rows;
}

class Bag {
 public:
  Bag(std::span<float> embedding, std::size_t width, const std::vector<double>& class_weights)
      : embedding_(embedding),
        width_(width),
        class_weights_(class_weights),
        embedding_squares_(embedding.size() / width, kEpsilon),
        heads_(2 * kRiskCount * width, 0.0f),
        head_squares_(2 * kRiskCount, kEpsilon),
        bag_(width),
        gradient_(width) {}

  // One step of gradient descent on one row, at the share `left` of the full rate; returns its
  // loss.
  double step(const BagRow& row, float left) {
    std::fill(bag_.begin(), bag_.end(), 0.0f);
    for (const std::int64_t id : row.ids) {
      const float* vector = &embedding_[static_cast<std::size_t>(id) * width_];
      for (std::size_t i = 0; i < width_; ++i) bag_[i] += vector[i];
    }
    float squares = 0;
    for (const float v : bag_) squares += v * v;
    const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(width_) + kEpsilon);
    for (float& v : bag_) v *= inverse;  // RMSNorm: the mean's length cancels

    std::array<float, kRiskCount> p{};
    float* head = &heads_[row.head * kRiskCount * width_];
    for (std::size_t c = 0; c < kRiskCount; ++c) {
      for (std::size_t i = 0; i < width_; ++i) p[c] += head[c * width_ + i] * bag_[i];
    }
    const float largest = *std::max_element(p.begin(), p.end());
    float sum = 0;
    for (float& v : p) sum += v = std::exp(v - largest);
    for (float& v : p) v /= sum;
    const double loss = -std::log(std::max(p[row.risk], 1e-9f));

    std::fill(gradient_.begin(), gradient_.end(), 0.0f);
    for (std::size_t c = 0; c < kRiskCount; ++c) {
      const float g =
          (p[c] - (c == row.risk ? 1.0f : 0.0f)) * static_cast<float>(class_weights_[row.risk]);
      float& seen = head_squares_[row.head * kRiskCount + c];
      seen += g * g;
      const float step = kHeadRate * left * g / std::sqrt(seen * static_cast<float>(width_));
      for (std::size_t i = 0; i < width_; ++i) {
        gradient_[i] += g * head[c * width_ + i];
        head[c * width_ + i] -= step * bag_[i];
      }
    }
    // Back through the norm; each token's vector gets the same gradient.
    float along = 0, length = 0;
    for (std::size_t i = 0; i < width_; ++i) along += gradient_[i] * bag_[i];
    along /= static_cast<float>(width_);
    for (std::size_t i = 0; i < width_; ++i) {
      gradient_[i] = (gradient_[i] - along * bag_[i]) * inverse;
      length += gradient_[i] * gradient_[i];
    }
    length /= static_cast<float>(width_);
    for (const std::int64_t id : row.ids) {
      float& seen = embedding_squares_[static_cast<std::size_t>(id)];
      seen += length;
      const float scale = kEmbeddingRate * left / std::sqrt(seen);
      float* vector = &embedding_[static_cast<std::size_t>(id) * width_];
      for (std::size_t i = 0; i < width_; ++i) vector[i] -= scale * gradient_[i];
    }
    return loss;
  }

 private:
  std::span<float> embedding_;
  std::size_t width_;
  std::vector<double> class_weights_;
  std::vector<float> embedding_squares_;  // one a token: AdaGrad by row
  std::vector<float> heads_;              // [2][3][width]
  std::vector<float> head_squares_;
  std::vector<float> bag_, gradient_;
};

}  // namespace

Status bag_start(const Layout& layout, BatchStream& stream, std::size_t rows,
                 const std::vector<double>& class_weights, std::vector<float>& weights,
                 const BagProgress& progress) {
  const Piece& piece = layout.find("embedding");
  const std::span<float> embedding(weights.data() + piece.offset, piece.size());
  Bag bag(embedding, layout.shape.hidden_size, class_weights);
  double smoothed = 0;
  for (std::size_t done = 0; done < rows;) {
    QG_TRY(const Batch batch, stream.next());
    for (const BagRow& row : rows_of(batch)) {
      const float left = 1.0f - static_cast<float>(std::min(done, rows)) / static_cast<float>(rows);
      const double loss = bag.step(row, left);
      smoothed = done == 0 ? loss : 0.9995 * smoothed + 0.0005 * loss;
      ++done;
    }
    if (progress) progress(std::min(done, rows), rows, smoothed);
  }
  double squares = 0;
  for (const float v : embedding) squares += static_cast<double>(v) * v;
  const float scale = static_cast<float>(
      piece.initial / std::sqrt(squares / static_cast<double>(embedding.size())));
  for (float& v : embedding) v *= scale;
  return {};
}

}  // namespace qwen3guard::training
