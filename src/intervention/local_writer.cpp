#include "intervention/local_writer.h"

#include <utility>

#include "base/random.h"
#include "base/try.h"

namespace qwen3guard::intervention {

Result<LocalWriter> LocalWriter::open(const Generator& generator, const Conversation& conversation,
                                      const GenerateOptions& options) {
  QG_TRY(Generation generation, generator.open(conversation, options));
  return LocalWriter(generator, std::move(generation), options);
}

std::uint64_t LocalWriter::seed_after(std::uint64_t seed, std::size_t roll_backs) {
  return roll_backs == 0 ? seed : Random(seed, roll_backs).next();
}

Result<std::optional<Piece>> LocalWriter::next() {
  Piece piece;
  for (bool complete = false; !complete; ++given_) {
    if (given_ == generation_.tokens().size()) {
      if (generation_.finished()) return std::optional<Piece>();
      QG_TRY(const GeneratedToken chosen, generation_.next());
      ++generated_;
    }
    const GeneratedToken& token = generation_.tokens()[given_];
    piece.text += token.text;
    ++piece.tokens;
    complete = token.complete;
  }
  return std::optional<Piece>(std::move(piece));
}

Status LocalWriter::roll_back(std::size_t tokens) {
  QG_CHECK_OK(generation_.truncate(tokens));
  given_ = tokens;
  generation_.reseed(seed_after(options_.seed, ++roll_backs_));
  return {};
}

Status LocalWriter::insert(std::string_view text) { return generation_.insert(text); }

Result<std::string> LocalWriter::ask(std::string_view question, std::size_t tokens) {
  GenerateOptions options = options_;
  options.seed = seed_after(options_.seed, roll_backs_);
  options.max_tokens = tokens;
  options.stop.clear();
  options.logprobs = 0;
  options.prompt = PromptFormat::kChatNoThinking;
  QG_TRY(Generated answer, generator_.generate({{Role::kUser, std::string(question)}}, options));
  generated_ += answer.tokens.size();
  return std::move(answer.text);
}

}  // namespace qwen3guard::intervention
