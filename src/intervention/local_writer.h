// A model on our own engine as the writer of an answer: roll-back is true, keys and values
// included.
#pragma once

#include <cstdint>

#include "intervention/writer.h"

namespace qwen3guard::intervention {

class LocalWriter final : public Writer {
 public:
  /// Errors: those of Generator::open.
  static Result<LocalWriter> open(const Generator& generator, const Conversation& conversation,
                                  const GenerateOptions& options);

  /// The seed of everything drawn after `roll_backs` roll-backs. One seed's do not meet those of
  /// its neighbours, which other answers may have.
  static std::uint64_t seed_after(std::uint64_t seed, std::size_t roll_backs);

  Result<std::optional<Piece>> next() override;
  Status roll_back(std::size_t tokens) override;
  Status insert(std::string_view text) override;
  Result<std::string> ask(std::string_view question, std::size_t tokens) override;
  std::size_t generated_tokens() const override { return generated_; }
  FinishReason finish() const override { return generation_.finish(); }
  const Generation& generation() const { return generation_; }

 private:
  LocalWriter(const Generator& generator, Generation generation, const GenerateOptions& options)
      : generator_(generator), generation_(std::move(generation)), options_(options) {}

  Generator generator_;
  Generation generation_;
  GenerateOptions options_;
  std::size_t given_ = 0;  // tokens of the answer that pieces have given
  std::size_t generated_ = 0;
  std::size_t roll_backs_ = 0;
};

}  // namespace qwen3guard::intervention
