#include "dataset/tokenizer_trim.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/try.h"

namespace qwen3guard::dataset {
namespace {

using nlohmann::json;

/// GPT-2's printable stand-in for each byte, as UTF-8.
std::array<std::string, 256> byte_symbols() {
  std::array<std::string, 256> symbols;
  std::uint32_t next = 256;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const std::uint32_t code = printable ? byte : next++;
    if (code < 0x80) {
      symbols[byte] = std::string(1, static_cast<char>(code));
    } else {
      symbols[byte] = {static_cast<char>(0xC0 | (code >> 6)),
                       static_cast<char>(0x80 | (code & 0x3F))};
    }
  }
  return symbols;
}

struct Bpe {
  std::unordered_map<std::string, int> ids;
  std::unordered_map<int, std::string> names;
  std::vector<std::pair<std::string, std::string>> merges;
  /// The first merge that makes a token.
  std::unordered_map<std::string, std::size_t> made_by;
  bool merges_are_pairs = true;
};

Error unsupported(const std::string& what) {
  return {ErrorCode::kUnsupported,
          "tokenizer.json: " + what + "; expected a byte-level BPE tokenizer"};
}

Result<Bpe> read_bpe(const json& tokenizer) {
  if (!tokenizer.is_object() || !tokenizer.contains("model") || !tokenizer["model"].is_object()) {
    return unsupported("no model");
  }
  const json& model = tokenizer["model"];
  if (model.value("type", "") != "BPE" || !model.contains("vocab") || !model["vocab"].is_object() ||
      !model.contains("merges") || !model["merges"].is_array()) {
    return unsupported("model is not BPE with vocab and merges");
  }
  Bpe bpe;
  for (const auto& [name, id] : model["vocab"].items()) {
    if (!id.is_number_integer()) return unsupported("vocab id of \"" + name + "\" is no number");
    bpe.ids[name] = id.get<int>();
    bpe.names[id.get<int>()] = name;
  }
  for (const auto& merge : model["merges"]) {
    std::pair<std::string, std::string> parts;
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      parts = {merge[0].get<std::string>(), merge[1].get<std::string>()};
    } else if (merge.is_string()) {
      bpe.merges_are_pairs = false;
      const auto text = merge.get<std::string>();
      const auto space = text.find(' ');
      if (space == std::string::npos) return unsupported("merge without a space");
      parts = {text.substr(0, space), text.substr(space + 1)};
    } else {
      return unsupported("a merge that is neither a pair nor a string");
    }
    bpe.made_by.emplace(parts.first + parts.second, bpe.merges.size());
    bpe.merges.push_back(std::move(parts));
  }
  return bpe;
}

/// Adds `token` and all it is merged from, that `kept` does not have yet, to `wanted`.
bool ancestors(const Bpe& bpe, const std::string& token,
               const std::unordered_set<std::string>& kept, std::set<std::string>& wanted) {
  if (kept.contains(token) || wanted.contains(token)) return true;
  const auto made = bpe.made_by.find(token);
  if (made == bpe.made_by.end() || !bpe.ids.contains(token)) return false;
  wanted.insert(token);
  const auto& [left, right] = bpe.merges[made->second];
  return ancestors(bpe, left, kept, wanted) && ancestors(bpe, right, kept, wanted);
}

}  // namespace

Result<json> trim_tokenizer(const json& tokenizer, const std::map<int, double>& frequency,
                            const TrimOptions& options) {
  QG_TRY(const Bpe bpe, read_bpe(tokenizer));
  std::unordered_set<std::string> kept;
  const auto symbols = byte_symbols();
  for (const auto& symbol : symbols) {
    if (!bpe.ids.contains(symbol)) return unsupported("byte token \"" + symbol + "\" is missing");
    kept.insert(symbol);
  }
  for (const auto& text : options.always_keep) {
    std::string token;
    for (const char c : text) token += symbols[static_cast<unsigned char>(c)];
    std::set<std::string> wanted;
    if (ancestors(bpe, token, kept, wanted)) kept.insert(wanted.begin(), wanted.end());
  }
  const std::size_t room = options.vocabulary_size;
  if (kept.size() + options.added_tokens.size() > room) {
    return Error{ErrorCode::kInvalidArgument,
                 "a vocabulary of " + std::to_string(room) +
                     " cannot hold the 256 bytes and the template's " + "tokens; at least " +
                     std::to_string(kept.size() + options.added_tokens.size()) + " are needed"};
  }

  std::vector<std::pair<double, int>> order;
  for (const auto& [id, weight] : frequency) order.emplace_back(-weight, id);
  std::ranges::sort(order);
  for (const auto& [weight, id] : order) {
    const auto name = bpe.names.find(id);
    if (name == bpe.names.end()) continue;  // an added token
    std::set<std::string> wanted;
    if (!ancestors(bpe, name->second, kept, wanted)) continue;
    // Not `continue`: smaller families further down are rarer, and a cut by frequency is easy to
    // explain.
    if (kept.size() + wanted.size() + options.added_tokens.size() > room) break;
    kept.insert(wanted.begin(), wanted.end());
  }

  std::vector<std::pair<int, std::string>> renumbered;
  for (const auto& name : kept) renumbered.emplace_back(bpe.ids.at(name), name);
  std::ranges::sort(renumbered);
  json vocab = json::object();
  for (std::size_t id = 0; id < renumbered.size(); ++id) vocab[renumbered[id].second] = id;
  json merges = json::array();
  for (const auto& [left, right] : bpe.merges) {
    if (!kept.contains(left) || !kept.contains(right) || !kept.contains(left + right)) continue;
    if (bpe.merges_are_pairs) {
      merges.push_back(json::array({left, right}));
    } else {
      merges.push_back(left + " " + right);
    }
  }

  json result = tokenizer;
  result["model"]["vocab"] = std::move(vocab);
  result["model"]["merges"] = std::move(merges);
  json added = json::array();
  for (const auto& content : options.added_tokens) {
    for (const auto& token : tokenizer.value("added_tokens", json::array())) {
      if (token.value("content", "") != content) continue;
      added.push_back(token);
      added.back()["id"] = renumbered.size() + added.size() - 1;
    }
  }
  if (added.size() != options.added_tokens.size())
    return unsupported("an added token of the template is missing");
  result["added_tokens"] = std::move(added);
  return result;
}

}  // namespace qwen3guard::dataset
