// One labelled conversation: the schema of the data that the guard is trained and evaluated on.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/conversation.h"
#include "qwen3guard/result.h"
#include "qwen3guard/verdict.h"

namespace qwen3guard::dataset {

enum class Split { kTrain, kTest };

/// Half-open range of code points in the last message.
struct CharacterSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const CharacterSpan&) const = default;
};

struct LabelledConversation {
  std::string id;
  std::string source;
  std::string language;
  Conversation messages;
  Target target = Target::kPrompt;
  /// None where nobody labelled the row: text for a language model, never for a verdict.
  std::optional<Risk> label;
  /// The set's own category names; category_map.h turns them into ours.
  std::vector<std::string> categories;
  std::optional<bool> refusal;
  /// What exactly is unsafe, where annotators marked it.
  std::vector<CharacterSpan> unsafe_spans;
  Split split = Split::kTrain;
  std::string label_origin;
};

/// Parses one line of a set. Strict: a missing or mistyped field, an unknown label, role, target or
/// split, an empty conversation, or a target that contradicts the last role is an error that names
/// the field. Fields beyond the schema are allowed (sets carry extras).
Result<LabelledConversation> parse_labelled_conversation(std::string_view line);

}  // namespace qwen3guard::dataset
