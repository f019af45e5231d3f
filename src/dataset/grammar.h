// Text made from templates and word lists: training rows for what collected sets do not show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "dataset/labelled_conversation.h"
#include "qwen3guard/result.h"

namespace qwen3guard::dataset {

/// A text with slots. `{name}` stands for an item of the list `name`, `{^name}` for the same with a
/// capital first letter; `{name#2}` is a choice of its own; `{{` and `}}` are braces.
struct Template {
  struct Piece {
    std::string text;  // before the slot
    std::optional<std::size_t> list;
    std::string key;  // equal keys of one row get equal choices
    bool capital = false;
  };
  std::vector<Piece> pieces;
};

/// Word lists and frames of one set, checked: every slot has a list, lists do not contain
/// themselves. docs/formats/grammar.md has the file format.
class Grammar {
 public:
  /// Errors: kInvalidJson (what is not a grammar, an unknown key, label or category), kNotFound (a
  /// slot without a list).
  static Result<Grammar> parse(const nlohmann::json& root);
  static Result<Grammar> read(const std::filesystem::path& path);

  const std::string& name() const { return name_; }
  /// What the frames ask for; expand() may give fewer where they have fewer combinations.
  std::size_t wanted() const;
  /// Distinct rows, the same for the same seed, on every machine.
  std::vector<LabelledConversation> expand(std::uint64_t seed) const;

 private:
  struct Frame {
    std::string language;
    Target target = Target::kPrompt;
    Risk label = Risk::kSafe;
    std::vector<std::string> categories;
    std::size_t rows = 0;
    std::vector<Template> prompts;  // responses only
    std::vector<Template> texts;
  };
  using Choices = std::map<std::string, std::string>;

  Result<Template> parse_template(const std::string& text) const;
  Status parse_lists(const nlohmann::json& lists);
  Result<Frame> parse_frame(const nlohmann::json& entry) const;
  Status check_lists() const;
  std::string fill(const Template& source, Random& random, Choices& choices) const;

  std::string name_;
  std::map<std::string, std::size_t> list_of_;
  std::vector<std::vector<Template>> lists_;
  std::vector<Frame> frames_;
};

}  // namespace qwen3guard::dataset
