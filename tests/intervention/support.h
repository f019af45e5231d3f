// Writers and observers that tests can look into.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "intervention/writer.h"
#include "paths.h"
#include "qwen3guard/intervention.h"
#include "random_checkpoint.h"

namespace qwen3guard::intervention {

/// Writes what it was told to: a piece of `bytes` bytes and as many tokens at a time, and after
/// each roll-back the next text. Digits are tokens of their own, so a guard of digits sees the same
/// ones.
class ScriptedWriter final : public Writer {
 public:
  explicit ScriptedWriter(std::vector<std::string> tries, std::size_t bytes = 1)
      : tries_(std::move(tries)), bytes_(bytes) {}

  Result<std::optional<Piece>> next() override {
    if (fails_after && generated_ >= *fails_after)
      return Error{ErrorCode::kNonFinite, "the writer is broken"};
    std::string& source = inserted_.empty() ? tries_.front() : inserted_;
    if (source.empty()) return std::optional<Piece>();
    Piece piece{source.substr(0, bytes_), std::min(bytes_, source.size())};
    source.erase(0, piece.tokens);
    written += piece.text;
    generated_ += piece.tokens;
    return std::optional<Piece>(std::move(piece));
  }
  Status roll_back(std::size_t tokens) override {
    EXPECT_LE(tokens, written.size());
    written.resize(tokens);
    roll_backs.push_back(tokens);
    inserted_.clear();
    if (tries_.size() > 1) tries_.erase(tries_.begin());
    return {};
  }
  Status insert(std::string_view text) override {
    if (no_place) return Error{ErrorCode::kTooLong, "no place"};
    inserted_ += text;
    return {};
  }
  Result<std::string> ask(std::string_view question, std::size_t tokens) override {
    questions.emplace_back(question);
    return criticism.substr(0, tokens);
  }
  std::size_t generated_tokens() const override { return generated_; }
  FinishReason finish() const override { return FinishReason::kLength; }

  std::string written;  // and not rolled back
  std::vector<std::size_t> roll_backs;
  std::vector<std::string> questions;
  std::string criticism = "000";
  bool no_place = false;
  std::optional<std::size_t> fails_after;

 private:
  std::vector<std::string> tries_;
  std::size_t bytes_;
  std::string inserted_;
  std::size_t generated_ = 0;
};

/// Remembers everything.
class Witness : public InterventionObserver {
 public:
  Status released(std::string_view text) override {
    released_text += text;
    return {};
  }
  Status discarded(std::string_view text, const Verdict& verdict) override {
    EXPECT_EQ(verdict.decision, Decision::kBlock);
    discarded_texts.emplace_back(text);
    released_at_discard.push_back(released_text);
    return {};
  }
  Status introspected(std::string_view text) override {
    introspections.emplace_back(text);
    return {};
  }

  std::string released_text;
  std::vector<std::string> discarded_texts, released_at_discard, introspections;
};

/// A guard that is removed with the object.
class TemporaryGuard {
 public:
  TemporaryGuard(const test::RandomCheckpoint& shape, const std::filesystem::path& tokenizer_json)
      : directory_(test::write_random_checkpoint(shape, tokenizer_json)),
        guard_(Guard::load(directory_, {.threads = 1})) {
    EXPECT_TRUE(guard_.ok()) << guard_.error().message;
  }
  ~TemporaryGuard() { std::filesystem::remove_all(directory_); }
  TemporaryGuard(const TemporaryGuard&) = delete;
  TemporaryGuard& operator=(const TemporaryGuard&) = delete;

  const Guard& operator*() const { return *guard_; }
  const Guard* operator->() const { return &*guard_; }

 private:
  std::filesystem::path directory_;
  Result<Guard> guard_;
};

}  // namespace qwen3guard::intervention
