#include "apps/inspect_text.h"

#include <cctype>
#include <map>
#include <utility>

#include "apps/terminal.h"
#include "bytes/safetensors.h"

namespace qwen3guard::apps {
namespace {

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

// "model.layers.7.mlp" -> "model.layers.*.mlp".
std::string family(std::string_view name) {
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(name[i])) != 0;
    if (!digit || i == 0 || name[i - 1] != '.') {
      result += name[i];
      continue;
    }
    while (i + 1 < name.size() && std::isdigit(static_cast<unsigned char>(name[i + 1])) != 0) ++i;
    result += '*';
  }
  return result;
}

std::string label_names(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(i) + " " + plain(names[i]);
  }
  return names.empty() ? "not named, the official ones apply" : text;
}

}  // namespace

std::string plain(std::string_view text) { return escape_controls(text); }

std::string fact(const std::string& name, const std::string& value) {
  return "  " + padded(name, 14) + value + "\n";
}

std::string tensor_table(const std::vector<TensorLine>& tensors) {
  struct Row {
    std::string name, type, shape;
    std::size_t count = 0;
  };
  std::vector<Row> rows;
  std::map<std::string, std::size_t> known;
  for (const TensorLine& tensor : tensors) {
    Row row{plain(family(tensor.name)), std::string(tensor.type), bytes::shape_text(tensor.shape),
            0};
    const auto [at, added] = known.emplace(row.name + row.type + row.shape, rows.size());
    if (added) rows.push_back(std::move(row));
    ++rows[at->second].count;
  }
  std::size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.name.size());
  std::string text;
  for (const Row& row : rows) {
    text += "  " + padded(row.name, width + 2) + padded(row.type, 6) + padded(row.shape, 18) +
            (row.count > 1 ? "x " + std::to_string(row.count) : "") + "\n";
  }
  return text;
}

std::string config_facts(const model::ModelConfig& c) {
  std::string facts;
  facts += fact("kind", c.guard ? "Stream (Qwen3ForGuardModel): a verdict at every token"
                                : "causal LM (Qwen3ForCausalLM): a Gen guard writes its verdict");
  facts +=
      fact("shape", std::to_string(c.layers) + " layers, hidden " + std::to_string(c.hidden_size) +
                        ", intermediate " + std::to_string(c.intermediate_size) + ", " +
                        std::to_string(c.heads) + " heads (" + std::to_string(c.kv_heads) +
                        " for keys and values) of " + std::to_string(c.head_dim));
  facts +=
      fact("vocabulary", std::to_string(c.vocabulary_size) +
                             (c.tied_embeddings ? ", embeddings tied" : ", embeddings untied"));
  facts += fact("positions", std::to_string(c.max_positions));
  if (!c.guard) return facts;
  facts += fact("prompt risks", label_names(c.guard->query_risk_names));
  facts += fact("  categories", label_names(c.guard->query_category_names));
  facts += fact("answer risks", label_names(c.guard->response_risk_names));
  facts += fact("  categories", label_names(c.guard->response_category_names));
  return facts;
}

}  // namespace qwen3guard::apps
