// Labelled conversations as token ids, and where in them a verdict is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataset/category_map.h"
#include "dataset/dataset_index.h"
#include "dataset/labelled_conversation.h"
#include "qwen3guard/result.h"
#include "tokens/tokenizer.h"
#include "training/recipe.h"

namespace qwen3guard::training {

/// A rendered conversation that ends with the <|im_end|> of its last message (the newline after it
/// is never judged).
struct TokenSequence {
  std::vector<tokens::TokenId> ids;
  /// Responses: the first token of the answer's text. All tokens from here are judged, the closing
  /// <|im_end|> included. Prompts: the last token, where the prompt's verdict is read.
  std::size_t first_judged = 0;
  /// Responses with marked spans: the token in which the first one starts.
  std::optional<std::size_t> onset;
  /// For each token, the bytes of the last message's content up to its end; 0 for what precedes the
  /// content. Not kept in an Example.
  std::vector<std::uint32_t> content_ends;
};

Result<TokenSequence> encode_conversation(const tokens::Tokenizer& tokenizer,
                                          const Conversation& conversation,
                                          const std::vector<dataset::CharacterSpan>& unsafe_spans);

struct Example {
  std::string id;
  std::uint32_t source = 0;  // index into ExampleSet::sources
  std::string language;
  Target target = Target::kPrompt;
  std::optional<Risk> label;
  std::optional<Category> category;
  /// Another classifier's P(not Safe), to be learned beside the label (linear_baseline.h).
  std::optional<float> teacher;
  Conversation messages;
  std::vector<dataset::CharacterSpan> unsafe_spans;
  TokenSequence sequence;
};

struct ExampleSet {
  std::vector<std::string> sources;
  std::vector<Example> train;
  std::vector<Example> validation;
  /// Rows without a label: for the language-model loss, or for a teacher to judge.
  std::vector<Example> unlabelled;
  /// Rows that no template takes (turns in an impossible order), by set.
  std::map<std::string, std::size_t> refused;
};

/// Called with the name of each set before it is read.
using SetProgress =
    std::function<void(const std::string& name, std::size_t index, std::size_t count)>;

/// Reads the train split of every permitted set of the mix, tokenises it and holds the validation
/// rows out.
Result<ExampleSet> load_examples(const std::vector<dataset::DatasetEntry>& index,
                                 const DataMix& mix, const dataset::CategoryMap& categories,
                                 const tokens::Tokenizer& tokenizer, const SetProgress& progress);

/// The rows of one set with the given split.
Result<std::vector<Example>> load_set(const dataset::DatasetEntry& entry, dataset::Split split,
                                      const dataset::CategoryMap& categories,
                                      const tokens::Tokenizer& tokenizer);

/// The `count` prompts of a benign set whose ids hash smallest: what the benign figure is measured
/// on.
Result<std::vector<Example>> load_benign(const dataset::DatasetEntry& entry, std::size_t count,
                                         const dataset::CategoryMap& categories,
                                         const tokens::Tokenizer& tokenizer);

}  // namespace qwen3guard::training
