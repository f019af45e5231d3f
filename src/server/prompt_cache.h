// Prompts that are remembered until their response is checked: some callers send the two apart.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "qwen3guard/conversation.h"

namespace qwen3guard::server {

using Clock = std::function<std::chrono::steady_clock::time_point()>;

/// Bounded in number, bytes and time; the least recently used goes first. Thread-safe.
class PromptCache {
 public:
  struct Limits {
    std::size_t entries = 10'000;
    std::size_t bytes = 64u << 20;
    std::chrono::seconds time_to_live{600};
  };

  explicit PromptCache(const Limits& limits, Clock clock = std::chrono::steady_clock::now)
      : limits_(limits), now_(std::move(clock)) {}

  /// Replaces what the key had. A conversation larger than the whole cache is not kept.
  void put(const std::string& key, Conversation conversation);
  std::optional<Conversation> get(const std::string& key);
  std::size_t size() const;

 private:
  struct Entry {
    std::string key;
    Conversation conversation;
    std::size_t bytes;
    std::chrono::steady_clock::time_point expires;
  };
  void erase(std::list<Entry>::iterator entry);

  const Limits limits_;
  const Clock now_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  std::size_t bytes_ = 0;
};

}  // namespace qwen3guard::server
