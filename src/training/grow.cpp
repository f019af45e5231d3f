#include "training/grow.h"

#include <algorithm>

#include "base/check.h"

namespace qwen3guard::training {
namespace {

std::size_t columns(const Piece& piece) {
  return piece.shape.size() < 2 ? 1 : static_cast<std::size_t>(piece.shape[1]);
}

/// What a step adds to the residual stream comes through these.
bool is_output_projection(const Piece& piece) {
  return piece.name.ends_with(".out") || piece.name.ends_with(".down");
}

}  // namespace

Status grow(const Layout& from, const std::vector<float>& small, const Layout& to,
            std::vector<float>& large) {
  QG_CHECK(small.size() == from.total && large.size() == to.total);
  const ModelShape& a = from.shape;
  const ModelShape& b = to.shape;
  const bool same = a.hidden_size == b.hidden_size && a.head_dim == b.head_dim &&
                    a.num_attention_heads == b.num_attention_heads &&
                    a.num_key_value_heads == b.num_key_value_heads &&
                    a.guard_inner_size == b.guard_inner_size && a.rope_theta == b.rope_theta &&
                    a.rms_norm_eps == b.rms_norm_eps && from.vocabulary == to.vocabulary;
  if (!same || a.num_hidden_layers > b.num_hidden_layers ||
      a.intermediate_size > b.intermediate_size) {
    return Error{ErrorCode::kInvalidArgument,
                 "a checkpoint grows in num_hidden_layers and intermediate_size only; the recipe's "
                 "model must agree with its config.json in all else and be smaller in nothing"};
  }
  for (const Piece& piece : to.pieces) {
    float* const out = large.data() + piece.offset;
    if (is_output_projection(piece)) std::fill_n(out, piece.size(), 0.0f);
    const auto old = std::ranges::find(from.pieces, piece.name, &Piece::name);
    if (old == from.pieces.end()) continue;
    const std::size_t width = columns(piece), old_width = columns(*old);
    std::size_t row = 0, old_row = 0;
    for (std::size_t p = 0; p < piece.parts.size(); ++p) {
      for (std::size_t r = 0; r < old->parts[p].rows; ++r) {
        std::copy_n(small.data() + old->offset + (old_row + r) * old_width, old_width,
                    out + (row + r) * width);
      }
      row += piece.parts[p].rows;
      old_row += old->parts[p].rows;
    }
  }
  return {};
}

}  // namespace qwen3guard::training
