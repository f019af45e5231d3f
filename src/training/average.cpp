#include "training/average.h"

#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/quote.h"
#include "tokens/tokenizer.h"
#include "training/parameters.h"

namespace qwen3guard::training {

Status average_checkpoints(const std::vector<WeighedCheckpoint>& checkpoints,
                           const std::filesystem::path& out) {
  constexpr std::size_t kMaxTokenizer = std::size_t{64} << 20;
  if (checkpoints.empty()) return Error{ErrorCode::kInvalidArgument, "nothing to average"};
  double sum = 0;
  for (const auto& one : checkpoints) {
    if (!(one.weight > 0)) {
      return Error{ErrorCode::kInvalidArgument, bytes::quote_path(one.directory) +
                                                    ": expected a weight above 0, found " +
                                                    std::to_string(one.weight)};
    }
    sum += one.weight;
  }
  const auto& first = checkpoints.front().directory;
  QG_TRY(const CheckpointShape shape, read_checkpoint_shape(first, {}));
  const Layout layout = make_layout(shape.shape, shape.vocabulary);
  QG_TRY(const std::string tokenizer_text,
         bytes::read_file(first / "tokenizer.json", kMaxTokenizer));
  QG_TRY(const auto tokenizer, tokens::Tokenizer::load(first));

  std::size_t tensors = 0;
  for (const Piece& piece : layout.pieces) tensors += piece.parts.size();
  std::vector<float> average(layout.total, 0.0f), weights(layout.total);
  for (const auto& one : checkpoints) {
    QG_TRY(const std::string own,
           bytes::read_file(one.directory / "tokenizer.json", kMaxTokenizer));
    if (own != tokenizer_text) {
      return Error{ErrorCode::kInvalidArgument, bytes::quote_path(one.directory) +
                                                    ": its tokenizer is not that of " +
                                                    bytes::quote_path(first)};
    }
    QG_TRY(const std::size_t read, import_checkpoint(layout, one.directory, weights));
    if (read != tensors) {
      return Error{ErrorCode::kInvalidArgument,
                   bytes::quote_path(one.directory) + ": expected a guard with " +
                       std::to_string(tensors) + " tensors, found " + std::to_string(read)};
    }
    const auto share = static_cast<float>(one.weight / sum);
    for (std::size_t i = 0; i < weights.size(); ++i) average[i] += share * weights[i];
  }
  QG_CHECK_OK(export_checkpoint(layout, average, tokenizer->added_token("<|im_end|>").value_or(0),
                                tokenizer->added_token("<|endoftext|>").value_or(0), out));
  return bytes::write_file_atomically(out / "tokenizer.json", tokenizer_text);
}

}  // namespace qwen3guard::training
