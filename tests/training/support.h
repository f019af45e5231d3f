// A tiny tokenizer, data and network for the tests of training/: everything is made here.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "tokens/tokenizer.h"
#include "training/examples.h"
#include "training/recipe.h"

namespace qwen3guard::training {

inline std::filesystem::path test_folder() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  auto folder = std::filesystem::temp_directory_path() /
                (std::string("qg_") + info->test_suite_name() + "_" + info->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

/// Qwen's tokenizer without merges but those of the template: bytes and five added tokens.
inline std::string tiny_tokenizer_json() {
  using nlohmann::json;
  json vocab = json::object();
  int next = 0;
  std::uint32_t stand_in = 256;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const std::uint32_t code = printable ? byte : stand_in++;
    if (code < 0x80) {
      vocab[std::string(1, static_cast<char>(code))] = next++;
    } else {
      vocab[std::string{static_cast<char>(0xC0 | (code >> 6)),
                        static_cast<char>(0x80 | (code & 0x3F))}] = next++;
    }
  }
  json merges = json::array();
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"u", "s"}, {"e", "r"}, {"us", "er"}, {"Ċ", "Ċ"}};
  for (const auto& [left, right] : pairs) {
    merges.push_back({left, right});
    vocab[left + right] = next++;
  }
  json added = json::array();
  for (const char* name : {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"}) {
    added.push_back({{"id", next++},
                     {"content", name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", false},
                           {"use_regex", false}};
  const std::string pattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const json split = {{"type", "Split"},
                      {"pattern", {{"Regex", pattern}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  const json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}}},
      {"post_processor", byte_level},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", ""},
        {"end_of_word_suffix", ""},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", false},
        {"vocab", vocab},
        {"merges", merges}}}};
  return tokenizer.dump();
}

inline std::shared_ptr<const tokens::Tokenizer> tiny_tokenizer() {
  auto tokenizer = tokens::Tokenizer::parse(tiny_tokenizer_json());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

inline Example make_example(const tokens::Tokenizer& tokenizer, Conversation messages, Risk label,
                            std::optional<Category> category = std::nullopt,
                            std::vector<dataset::CharacterSpan> spans = {}) {
  Example example;
  auto sequence = encode_conversation(tokenizer, messages, spans);
  EXPECT_TRUE(sequence.ok()) << sequence.error().message;
  example.sequence = std::move(sequence).value();
  example.target = messages.back().role == Role::kUser ? Target::kPrompt : Target::kResponse;
  example.messages = std::move(messages);
  example.unsafe_spans = std::move(spans);
  example.label = label;
  example.category = category;
  return example;
}

inline Recipe tiny_recipe() {
  Recipe recipe;
  recipe.name = "tiny";
  recipe.model.hidden_size = 16;
  recipe.model.num_hidden_layers = 2;
  recipe.model.num_attention_heads = 4;
  recipe.model.num_key_value_heads = 2;
  recipe.model.head_dim = 8;
  recipe.model.intermediate_size = 24;
  recipe.model.guard_inner_size = 12;
  recipe.model.max_position_embeddings = 256;
  recipe.optimizer.tokens_per_step = 512;
  recipe.optimizer.warmup_steps = 2;
  return recipe;
}

/// Prompts and responses whose label depends on one word.
inline ExampleSet tiny_examples(const tokens::Tokenizer& tokenizer, std::size_t count) {
  ExampleSet set;
  set.sources = {"prompts", "responses"};
  Random random(5);
  for (std::size_t i = 0; i < count; ++i) {
    const bool bad = i % 2 == 0;
    const std::string text = "abcdefgh"[random.below(8)] + std::string(bad ? " bomb " : " cake ") +
                             "mnopqrst"[random.below(8)];
    Conversation messages = {{Role::kUser, i % 4 < 2 ? text : "tell me"}};
    if (i % 4 >= 2) messages.push_back({Role::kAssistant, text});
    Example example =
        make_example(tokenizer, std::move(messages), bad ? Risk::kUnsafe : Risk::kSafe,
                     bad ? std::optional(Category::kViolent) : std::nullopt);
    example.id = std::to_string(i);
    example.source = i % 4 < 2 ? 0 : 1;
    (i % 10 == 9 || i % 10 == 8 || i % 10 == 7 ? set.validation : set.train)
        .push_back(std::move(example));
  }
  return set;
}

}  // namespace qwen3guard::training
