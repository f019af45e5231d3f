#include "training/examples.h"

#include <algorithm>

#include "base/try.h"
#include "dataset/selection.h"
#include "dataset/sha256.h"
#include "tokens/chat_template.h"

namespace qwen3guard::training {
namespace {

/// The byte at which code point `index` of `text` starts.
std::size_t byte_of_character(const std::string& text, std::size_t index) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const bool starts = (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
    if (starts && index-- == 0) return at;
  }
  return at;
}

Result<Example> make_example(dataset::LabelledConversation row,
                             const dataset::CategoryMap& categories,
                             const tokens::Tokenizer& tokenizer) {
  Example example;
  example.category =
      row.label && *row.label != Risk::kSafe ? categories.category(row) : std::nullopt;
  QG_TRY(example.sequence, encode_conversation(tokenizer, row.messages, row.unsafe_spans));
  example.sequence.content_ends = {};
  example.id = std::move(row.id);
  example.language = std::move(row.language);
  example.target = row.target;
  example.label = row.label;
  example.messages = std::move(row.messages);
  example.unsafe_spans = std::move(row.unsafe_spans);
  return example;
}

}  // namespace

Result<TokenSequence> encode_conversation(const tokens::Tokenizer& tokenizer,
                                          const Conversation& conversation,
                                          const std::vector<dataset::CharacterSpan>& unsafe_spans) {
  const auto im_end = tokenizer.added_token("<|im_end|>");
  if (!im_end) return Error{ErrorCode::kUnsupported, "the tokenizer has no <|im_end|>"};
  QG_TRY(const tokens::RenderedConversation rendered, tokens::render_chatml(conversation, {}));
  QG_TRY(const tokens::Encoding encoding, tokenizer.encode(rendered));
  TokenSequence result;
  const auto last = std::find(encoding.ids.rbegin(), encoding.ids.rend(), *im_end);
  result.ids.assign(encoding.ids.begin(), last.base());
  result.first_judged = result.ids.size() - 1;
  for (std::size_t i = 0; i < result.ids.size(); ++i) {
    const std::size_t end = std::min(encoding.offsets[i].end, rendered.last_content.end);
    result.content_ends.push_back(end <= rendered.last_content.begin
                                      ? 0
                                      : static_cast<std::uint32_t>(end -
                                                                   rendered.last_content.begin +
                                                                   rendered.content_source));
  }
  if (conversation.back().role != Role::kAssistant) return result;

  const auto token_at = [&](std::size_t byte) {
    std::size_t token = 0;
    while (token + 1 < result.ids.size() && encoding.offsets[token].end <= byte) ++token;
    return token;
  };
  result.first_judged = token_at(rendered.last_content.begin);
  if (!unsafe_spans.empty()) {
    const auto& content = conversation.back().content;
    const auto first = std::ranges::min_element(unsafe_spans, {}, &dataset::CharacterSpan::begin);
    const std::size_t byte =
        std::max(byte_of_character(content, first->begin), rendered.content_source);
    result.onset = token_at(rendered.last_content.begin + (byte - rendered.content_source));
  }
  return result;
}

Result<std::vector<Example>> load_set(const dataset::DatasetEntry& entry, dataset::Split split,
                                      const dataset::CategoryMap& categories,
                                      const tokens::Tokenizer& tokenizer) {
  std::vector<Example> examples;
  QG_CHECK_OK(dataset::read_dataset(entry, [&](dataset::LabelledConversation row) -> Status {
    if (row.split != split) return {};
    const std::string id = row.id;
    auto example = make_example(std::move(row), categories, tokenizer);
    if (!example.ok()) return std::move(example).error().with_context(entry.name + ": row " + id);
    examples.push_back(std::move(example).value());
    return {};
  }));
  return examples;
}

Result<ExampleSet> load_examples(const std::vector<dataset::DatasetEntry>& index,
                                 const DataMix& mix, const dataset::CategoryMap& categories,
                                 const tokens::Tokenizer& tokenizer, const SetProgress& progress) {
  ExampleSet set;
  const auto entries = dataset::select_sets(index, {mix.licence_classes, mix.exclude});
  for (std::size_t e = 0; e < entries.size(); ++e) {
    const auto& entry = entries[e];
    if (progress) progress(entry.name, e, entries.size());
    const auto source = static_cast<std::uint32_t>(set.sources.size());
    set.sources.push_back(entry.name);
    std::vector<std::pair<dataset::Sha256Digest, Example>> held_out;
    QG_CHECK_OK(dataset::read_dataset(entry, [&](dataset::LabelledConversation row) -> Status {
      if (row.split != dataset::Split::kTrain) return {};
      auto made = make_example(std::move(row), categories, tokenizer);
      if (!made.ok()) {
        if (made.error().code != ErrorCode::kInvalidConversation) {
          return std::move(made).error().with_context(entry.name);
        }
        ++set.refused[entry.name];
        return {};
      }
      Example example = std::move(made).value();
      example.source = source;
      if (!example.label) {
        set.unlabelled.push_back(std::move(example));
      } else if (dataset::is_held_out(example.id, mix.held_out_modulus)) {
        held_out.emplace_back(dataset::sha256(example.id + "v"), std::move(example));
      } else {
        set.train.push_back(std::move(example));
      }
      return {};
    }));
    // A cap, by another hash: the large sets would drown the small ones and slow validation down.
    std::ranges::sort(held_out, {}, [](const auto& pair) { return pair.first; });
    if (held_out.size() > mix.validation_cap)
      held_out.erase(held_out.begin() + static_cast<std::ptrdiff_t>(mix.validation_cap),
                     held_out.end());
    for (auto& [hash, example] : held_out) set.validation.push_back(std::move(example));
  }
  return set;
}

Result<std::vector<Example>> load_benign(const dataset::DatasetEntry& entry, std::size_t count,
                                         const dataset::CategoryMap& categories,
                                         const tokens::Tokenizer& tokenizer) {
  QG_TRY(auto rows, load_set(entry, dataset::Split::kTrain, categories, tokenizer));
  std::erase_if(rows, [](const Example& e) { return e.target != Target::kPrompt; });
  dataset::keep_smallest_by_hash(rows, count);
  return rows;
}

}  // namespace qwen3guard::training
