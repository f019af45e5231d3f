#include "server/prompt_cache.h"

#include <utility>

namespace qwen3guard::server {

void PromptCache::put(const std::string& key, Conversation conversation) {
  std::size_t bytes = 2 * key.size() + sizeof(Entry);
  for (const Message& message : conversation) {
    bytes += sizeof(Message) + message.content.size() +
             (message.reasoning_content ? message.reasoning_content->size() : 0);
  }
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) erase(found->second);
  if (bytes > limits_.bytes || limits_.entries == 0) return;
  while (entries_.size() >= limits_.entries || bytes_ + bytes > limits_.bytes) {
    erase(std::prev(entries_.end()));
  }
  entries_.push_front({key, std::move(conversation), bytes, now_() + limits_.time_to_live});
  by_key_[key] = entries_.begin();
  bytes_ += bytes;
}

std::optional<Conversation> PromptCache::get(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  if (found->second->expires <= now_()) {
    erase(found->second);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->conversation;
}

std::size_t PromptCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void PromptCache::erase(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace qwen3guard::server
