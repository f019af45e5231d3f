#include "dataset/grammar.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/try.h"
#include "bytes/json.h"
#include "dataset/sha256.h"

namespace qwen3guard::dataset {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxRows = 1'000'000;
constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxBytes = 64 << 10;  // of one filled slot
// A frame with few combinations must end: so many draws may repeat a row before it counts as
// exhausted.
constexpr std::size_t kMaxDrawsPerRow = 20;

Error bad(const std::string& what) { return {ErrorCode::kInvalidJson, what}; }

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Result<std::string> text_of(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string())
    return bad("field \"" + std::string(key) + "\": expected a string");
  return it->get<std::string>();
}

Result<std::vector<std::string>> texts_of(const json& value, const std::string& where) {
  if (!value.is_array() || value.empty()) return bad(where + ": expected a list of strings");
  std::vector<std::string> texts;
  for (const json& text : value) {
    if (!text.is_string())
      return bad(where + ": expected strings, found " + text.dump(-1, ' ', true));
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

Status only_keys(const json& object, const std::set<std::string>& known) {
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) return bad("unknown key \"" + key + "\"");
  }
  return {};
}

}  // namespace

Result<Template> Grammar::parse_template(const std::string& text) const {
  Template result;
  Template::Piece piece;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '{' && c != '}') {
      piece.text += c;
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == c) {
      piece.text += c;
      ++i;
      continue;
    }
    std::size_t at = i + 1;
    piece.capital = at < text.size() && text[at] == '^';
    if (piece.capital) ++at;
    std::size_t end = at;
    while (end < text.size() && is_name(text[end])) ++end;
    const std::string name = text.substr(at, end - at);
    if (end < text.size() && text[end] == '#') {
      ++end;
      while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    }
    if (c == '}' || name.empty() || end >= text.size() || text[end] != '}')
      return bad("\"" + text + "\": a brace that is no slot; write {{ or }} for a brace");
    const auto list = list_of_.find(name);
    if (list == list_of_.end())
      return Error{ErrorCode::kNotFound, "\"" + text + "\": no list is called \"" + name + "\""};
    piece.list = list->second;
    piece.key = text.substr(at, end - at);
    result.pieces.push_back(std::move(piece));
    piece = {};
    i = end;
  }
  if (!piece.text.empty() || result.pieces.empty()) result.pieces.push_back(std::move(piece));
  return result;
}

Status Grammar::parse_lists(const json& lists) {
  if (!lists.is_object()) return bad("\"lists\": expected an object");
  for (const auto& [name, items] : lists.items()) {
    for (const char c : name) {
      if (!is_name(c)) return bad("list \"" + name + "\": names have letters, digits and _ only");
    }
    list_of_.emplace(name, list_of_.size());
  }
  lists_.resize(list_of_.size());
  for (const auto& [name, items] : lists.items()) {
    QG_TRY(const auto texts, texts_of(items, "list \"" + name + "\""));
    for (const auto& text : texts) {
      auto item = parse_template(text);
      if (!item.ok()) return std::move(item).error().with_context("list \"" + name + "\"");
      lists_[list_of_[name]].push_back(std::move(item).value());
    }
  }
  return check_lists();
}

Status Grammar::check_lists() const {
  enum class Mark { kNew, kOpen, kDone };
  std::vector<Mark> marks(lists_.size(), Mark::kNew);
  std::vector<std::size_t> depth(lists_.size(), 0), longest(lists_.size(), 0);
  // Depth-first without recursion: the file may nest as deep as it likes.
  for (std::size_t root = 0; root < lists_.size(); ++root) {
    std::vector<std::pair<std::size_t, bool>> stack{{root, false}};
    while (!stack.empty()) {
      const auto [list, leaving] = stack.back();
      stack.pop_back();
      if (!leaving && marks[list] != Mark::kNew) continue;
      if (!leaving) {
        marks[list] = Mark::kOpen;
        stack.emplace_back(list, true);
      }
      for (const auto& item : lists_[list]) {
        std::size_t length = 0;
        for (const auto& piece : item.pieces) {
          length += piece.text.size();
          if (!piece.list) continue;
          const std::size_t inner = *piece.list;
          if (!leaving) {
            if (marks[inner] == Mark::kOpen) return bad("{" + piece.key + "} contains itself");
            stack.emplace_back(inner, false);
            continue;
          }
          length += longest[inner];
          depth[list] = std::max(depth[list], depth[inner] + 1);
        }
        if (leaving) longest[list] = std::max(longest[list], length);
      }
      if (!leaving) continue;
      marks[list] = Mark::kDone;
      if (depth[list] > kMaxDepth) return bad("lists are nested too deep");
      if (longest[list] > kMaxBytes) return bad("an item of a list may become too long");
    }
  }
  return {};
}

Result<Grammar::Frame> Grammar::parse_frame(const json& entry) const {
  if (!entry.is_object()) return bad("expected an object");
  QG_CHECK_OK(
      only_keys(entry, {"lang", "target", "label", "category", "rows", "prompts", "texts"}));
  Frame frame;
  QG_TRY(frame.language, text_of(entry, "lang"));
  QG_TRY(const std::string target, text_of(entry, "target"));
  if (target != "prompt" && target != "response")
    return bad("field \"target\": expected prompt or response, found \"" + target + "\"");
  frame.target = target == "prompt" ? Target::kPrompt : Target::kResponse;
  QG_TRY(const std::string label, text_of(entry, "label"));
  const auto risk = parse_risk(label);
  if (!risk)
    return bad("field \"label\": expected Safe, Unsafe or Controversial, found \"" + label + "\"");
  frame.label = *risk;

  const auto category = entry.find("category");
  if (category != entry.end() && !category->is_null()) {
    if (frame.label == Risk::kSafe) return bad("a Safe frame has no category");
    const auto name = category->is_string() ? category->get<std::string>() : category->dump();
    if (!parse_category(name)) return bad("field \"category\": no category is called " + name);
    frame.categories.push_back(name);
  }
  const auto rows = entry.find("rows");
  if (rows == entry.end() || !rows->is_number_unsigned() || rows->get<std::size_t>() == 0 ||
      rows->get<std::size_t>() > kMaxRows)
    return bad("field \"rows\": expected a number from 1 to " + std::to_string(kMaxRows));
  frame.rows = rows->get<std::size_t>();

  const auto parse_all = [&](const char* key, std::vector<Template>& out) -> Status {
    const auto it = entry.find(key);
    QG_TRY(const auto texts,
           texts_of(it == entry.end() ? json() : *it, std::string("\"") + key + "\""));
    for (const auto& text : texts) {
      QG_TRY(Template one, parse_template(text));
      out.push_back(std::move(one));
    }
    return {};
  };
  QG_CHECK_OK(parse_all("texts", frame.texts));
  if (frame.target == Target::kResponse) {
    QG_CHECK_OK(parse_all("prompts", frame.prompts));
  } else if (entry.contains("prompts")) {
    return bad("\"prompts\" belong to responses only");
  }
  return frame;
}

Result<Grammar> Grammar::parse(const json& root) {
  if (!root.is_object()) return bad("a grammar is a JSON object");
  QG_CHECK_OK(only_keys(root, {"name", "description", "lists", "frames"}));
  Grammar grammar;
  QG_TRY(grammar.name_, text_of(root, "name"));
  if (grammar.name_.empty()) return bad("\"name\" is empty");
  for (const char c : grammar.name_) {
    if (!is_name(c)) return bad("\"name\": letters, digits and _ only, it names a file");
  }
  QG_CHECK_OK(grammar.parse_lists(root.value("lists", json::object())));
  const auto frames = root.find("frames");
  if (frames == root.end() || !frames->is_array() || frames->empty())
    return bad("\"frames\": expected a list of frames");
  for (std::size_t i = 0; i < frames->size(); ++i) {
    auto frame = grammar.parse_frame((*frames)[i]);
    if (!frame.ok()) return std::move(frame).error().with_context("frame " + std::to_string(i));
    grammar.frames_.push_back(std::move(frame).value());
  }
  return grammar;
}

Result<Grammar> Grammar::read(const std::filesystem::path& path) {
  QG_TRY(const json root, bytes::read_json(path));
  auto grammar = parse(root);
  if (!grammar.ok()) return std::move(grammar).error().with_context(path.string());
  return grammar;
}

std::size_t Grammar::wanted() const {
  std::size_t sum = 0;
  for (const auto& frame : frames_) sum += frame.rows;
  return sum;
}

std::string Grammar::fill(const Template& source, Random& random, Choices& choices) const {
  std::string text;
  for (const auto& piece : source.pieces) {
    text += piece.text;
    if (!piece.list) continue;
    auto chosen = choices.find(piece.key);
    if (chosen == choices.end()) {
      const auto& items = lists_[*piece.list];
      const auto& item = items[random.below(items.size())];
      // A numbered slot is a choice of its own all the way down.
      Choices apart;
      const bool numbered = piece.key.find('#') != std::string::npos;
      std::string value = fill(item, random, numbered ? apart : choices);
      chosen = choices.emplace(piece.key, std::move(value)).first;
    }
    const std::size_t at = text.size();
    text += chosen->second;
    if (piece.capital && at < text.size() && text[at] >= 'a' && text[at] <= 'z')
      text[at] = static_cast<char>(text[at] - 'a' + 'A');
  }
  return text;
}

std::vector<LabelledConversation> Grammar::expand(std::uint64_t seed) const {
  std::vector<LabelledConversation> rows;
  std::set<std::string> seen;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    const Frame& frame = frames_[f];
    Random random(seed, f);
    std::size_t made = 0;
    for (std::size_t draw = 0; draw < frame.rows * kMaxDrawsPerRow && made < frame.rows; ++draw) {
      LabelledConversation row;
      Choices choices;
      if (frame.target == Target::kResponse) {
        const auto& prompt = frame.prompts[random.below(frame.prompts.size())];
        row.messages.push_back({Role::kUser, fill(prompt, random, choices)});
      }
      const auto& text = frame.texts[random.below(frame.texts.size())];
      row.messages.push_back({frame.target == Target::kPrompt ? Role::kUser : Role::kAssistant,
                              fill(text, random, choices)});
      std::string key;
      for (const auto& message : row.messages) key += message.content + '\0';
      const std::string digest = to_hex(sha256(key));
      if (!seen.insert(digest).second) continue;
      row.id = name_ + "-" + digest.substr(0, 16);
      row.source = name_;
      row.language = frame.language;
      row.target = frame.target;
      row.label = frame.label;
      row.categories = frame.categories;
      row.label_origin = "constructed";
      rows.push_back(std::move(row));
      ++made;
    }
  }
  return rows;
}

}  // namespace qwen3guard::dataset
