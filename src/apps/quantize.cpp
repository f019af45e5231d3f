// qwen3guard quantize: a checkpoint as one GGUF file of 8- or 4-bit weights.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/exit_status.h"
#include "apps/expected_tensors.h"
#include "apps/terminal.h"
#include "base/try.h"
#include "bytes/gguf.h"
#include "bytes/quote.h"
#include "bytes/utf8.h"
#include "model/checkpoint.h"
#include "model/gguf_names.h"
#include "tokens/tokenizer_gguf.h"

namespace qwen3guard::apps {
namespace {

struct QuantizeArguments {
  std::string checkpoint, output;
  int bits = 8;
  bool force = false;
};

// Projections take the format asked for. Embeddings take 8 bits: a guard reads a few rows of them,
// so fewer bits would cost accuracy and save no time. Norms and guard heads stay as precise as they
// are: they are small.
bytes::GgmlType type_for(const ExpectedTensor& tensor, const model::StoredMatrix& stored,
                         int bits) {
  const bool matrix = tensor.shape.size() == 2;
  const bool projection = matrix && tensor.name.find("_proj.") != std::string::npos;
  const bool embedding =
      tensor.name == "model.embed_tokens.weight" || tensor.name == "lm_head.weight";
  if (!matrix) return bytes::GgmlType::kF32;
  if (projection) return bits == 8 ? bytes::GgmlType::kQ8_0 : bytes::GgmlType::kQ4_0;
  const bool blocks = stored.columns % bytes::block_layout(bytes::GgmlType::kQ8_0).elements == 0;
  return embedding && blocks ? bytes::GgmlType::kQ8_0 : stored.type;
}

Status write_rows(const model::StoredMatrix& stored, bytes::GgmlType type,
                  const bytes::GgufSink& sink) {
  if (type == stored.type) return sink(stored.data);
  std::vector<float> row(stored.columns);
  std::vector<std::byte> out(static_cast<std::size_t>(bytes::row_bytes(type, stored.columns)));
  for (std::size_t r = 0; r < stored.rows; ++r) {
    QG_CHECK_OK(stored.widen(r, row));
    if (type == bytes::GgmlType::kF32) {
      QG_CHECK_OK(sink(std::as_bytes(std::span(row))));
    } else {
      QG_CHECK_OK(bytes::quantize_row(type, row, out));
      QG_CHECK_OK(sink(out));
    }
  }
  return {};
}

// One line that grows while the file is written.
class TensorProgress {
 public:
  TensorProgress(bool visible, std::size_t total) : visible_(visible), total_(total) {}
  void next() {
    ++done_;
    if (!visible_) return;
    std::fprintf(stderr, "\rquantizing  %3zu %%  tensor %zu of %zu", 100 * done_ / total_, done_,
                 total_);
    if (done_ == total_) std::fputc('\n', stderr);
  }

 private:
  bool visible_;
  std::size_t total_;
  std::size_t done_ = 0;
};

// The folder's name, for people; a name that GGUF cannot hold is left out.
std::string model_name(const std::filesystem::path& directory) {
  std::filesystem::path path = directory.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string name = path.filename().string();
  return bytes::find_invalid_utf8(name) ? "guard" : name;
}

Status run_quantize(const QuantizeArguments& arguments) {
  const std::filesystem::path directory = arguments.checkpoint, output = arguments.output;
  std::error_code ignored;
  if (!arguments.force && std::filesystem::exists(output, ignored)) {
    return Error{ErrorCode::kInvalidArgument,
                 bytes::quote_path(output) + " exists; give another name, or --force"};
  }
  if (output.extension() != ".gguf") {
    return Error{ErrorCode::kInvalidArgument,
                 bytes::quote_path(output) + ": expected a name that ends in .gguf"};
  }
  QG_TRY(const model::Checkpoint checkpoint, model::Checkpoint::open(directory));
  if (checkpoint.gguf() != nullptr) {
    return Error{ErrorCode::kUnsupported, bytes::quote_path(directory) +
                                              " is a GGUF file already; quantize the checkpoint "
                                              "that it was made from"};
  }
  model::ModelConfig config = checkpoint.config();
  if (config.guard && config.guard->inner_size == 0) {
    QG_TRY(const auto pre,
           checkpoint.find_stored("risk_level_category_pre.weight", 0, config.hidden_size));
    config.guard->inner_size = pre.rows;
  }
  auto metadata = model::gguf_metadata(config, model_name(directory));
  QG_TRY(const std::string tokenizer_json,
         tokens::read_tokenizer_file(directory / "tokenizer.json"));
  QG_TRY(auto tokenizer, tokens::gguf_tokenizer_metadata(tokenizer_json, config.vocabulary_size));
  metadata.insert(metadata.end(), std::make_move_iterator(tokenizer.begin()),
                  std::make_move_iterator(tokenizer.end()));
  metadata.emplace_back("general.file_type",
                        static_cast<std::uint32_t>(arguments.bits == 8 ? 7 : 2));
  metadata.emplace_back("general.quantization_version", std::uint32_t{2});

  const auto expected = expected_tensors(config);
  TensorProgress progress(::isatty(STDERR_FILENO) != 0, expected.size());
  std::vector<bytes::GgufTensorToWrite> tensors;
  for (const ExpectedTensor& tensor : expected) {
    QG_TRY(const model::StoredMatrix stored, checkpoint.find_shaped(tensor.name, tensor.shape));
    const bytes::GgmlType type = type_for(tensor, stored, arguments.bits);
    const auto name = model::gguf_tensor_name(tensor.name);
    if (!name) {
      std::vector<float> head(stored.rows * stored.columns);
      for (std::size_t r = 0; r < stored.rows; ++r)
        QG_CHECK_OK(stored.widen(r, std::span(head).subspan(r * stored.columns, stored.columns)));
      metadata.emplace_back(model::gguf_head_key(tensor.name), std::move(head));
      progress.next();
      continue;
    }
    if (stored.columns % bytes::block_layout(type).elements != 0) {
      return Error{ErrorCode::kUnsupported,
                   "tensor " + tensor.name + " has rows of " + std::to_string(stored.columns) +
                       " numbers; quantized ones need a multiple of 32: this checkpoint cannot be "
                       "quantized"};
    }
    tensors.push_back(
        {*name, type, tensor.shape,
         [stored, type, official = tensor.name, &progress](const bytes::GgufSink& sink) {
           progress.next();
           auto status = write_rows(stored, type, sink);
           if (!status.ok())
             return Status(std::move(status).error().with_context("tensor " + official));
           return status;
         }});
  }
  QG_CHECK_OK(bytes::write_gguf(output, metadata, tensors));
  std::printf("%s  %s, %d bits, %zu tensors\n", escape_controls(output.string()).c_str(),
              bytes::byte_count(std::filesystem::file_size(output, ignored)).c_str(),
              arguments.bits, tensors.size());
  return {};
}

}  // namespace

void add_quantize(CLI::App& app, int& status) {
  auto arguments = std::make_shared<QuantizeArguments>();
  auto* command = app.add_subcommand(
      "quantize",
      "Write a checkpoint as one GGUF file with 8- or 4-bit weights, tokenizer included");
  command->add_option("checkpoint", arguments->checkpoint, "Checkpoint directory as published")
      ->required()
      ->type_name("DIR");
  command->add_option("output", arguments->output, "File to write")
      ->required()
      ->type_name("FILE.gguf");
  command->add_option("--bits", arguments->bits, "8 (Q8_0) or 4 (Q4_0; embeddings keep 8)")
      ->check(CLI::IsMember({8, 4}))
      ->type_name("8|4")
      ->capture_default_str();
  command->add_flag("--force", arguments->force, "Replace a file that exists");
  command->callback([arguments, &status] {
    const Status done = run_quantize(*arguments);
    status = done.ok() ? kExitDone : fail(done.error());
  });
}

}  // namespace qwen3guard::apps
