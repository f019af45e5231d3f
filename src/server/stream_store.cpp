#include "server/stream_store.h"

#include <algorithm>

#include "base/try.h"
#include "server/request_id.h"

namespace qwen3guard::server {
namespace {

Error unknown_stream() {
  return {ErrorCode::kNotFound,
          "no such stream: it was never opened, was closed, or nobody used it for too long; open a "
          "new one"};
}

}  // namespace

struct StreamStore::Lease::Entry {
  Entry(Session session, std::string owner)
      : stream(std::move(session)), client(std::move(owner)) {}
  Stream stream;
  const std::string client;
  // Guarded by the store's mutex.
  bool taken = false;
  std::chrono::steady_clock::time_point expires;
};

StreamStore::Lease::~Lease() {
  if (!entry_) return;
  const std::lock_guard lock(store_->mutex_);
  if (entry_->stream.ended) store_->streams_.erase(id_);
  entry_->taken = false;
  entry_->expires = store_->now_() + store_->limits_.time_to_live;
}

Stream& StreamStore::Lease::operator*() { return entry_->stream; }

void StreamStore::drop_expired() {
  const auto now = now_();
  std::erase_if(streams_, [&](const auto& item) {
    return !item.second->taken && item.second->expires <= now;
  });
}

Status StreamStore::check_room_locked() {
  drop_expired();
  if (streams_.size() < limits_.streams) return {};
  return Error{ErrorCode::kOverloaded, std::to_string(limits_.streams) +
                                           " streams are open, as many as may be; close some, or "
                                           "try again later"};
}

Status StreamStore::check_room() {
  const std::lock_guard lock(mutex_);
  return check_room_locked();
}

bool StreamStore::full_for_locked(const std::string& client) const {
  if (limits_.streams_of_client == 0) return false;
  const auto own = std::count_if(streams_.begin(), streams_.end(),
                                 [&](const auto& item) { return item.second->client == client; });
  return static_cast<std::size_t>(own) >= limits_.streams_of_client;
}

bool StreamStore::full_for(const std::string& client) {
  const std::lock_guard lock(mutex_);
  drop_expired();
  return full_for_locked(client);
}

Result<std::string> StreamStore::add(Session session, const std::string& client) {
  auto entry = std::make_shared<Entry>(std::move(session), client);
  std::string id = random_id("stream-");
  const std::lock_guard lock(mutex_);
  QG_CHECK_OK(check_room_locked());
  if (full_for_locked(client)) {
    return Error{ErrorCode::kOverloaded, "this API key has as many open streams as it may"};
  }
  entry->expires = now_() + limits_.time_to_live;
  streams_.emplace(id, std::move(entry));
  return id;
}

Result<StreamStore::Lease> StreamStore::take(const std::string& id, const std::string& client) {
  const std::lock_guard lock(mutex_);
  drop_expired();
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second->client != client) return unknown_stream();
  if (found->second->taken) {
    return Error{ErrorCode::kInvalidState,
                 "another request uses this stream right now; send one after the other"};
  }
  found->second->taken = true;
  return Lease(*this, id, found->second);
}

Status StreamStore::remove(const std::string& id, const std::string& client) {
  std::shared_ptr<Entry> removed;  // its memory is given back after the lock
  const std::lock_guard lock(mutex_);
  drop_expired();
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second->client != client) return unknown_stream();
  removed = std::move(found->second);
  streams_.erase(found);
  return {};
}

bool StreamStore::has(const std::string& id, const std::string& client) {
  const std::lock_guard lock(mutex_);
  drop_expired();
  const auto found = streams_.find(id);
  return found != streams_.end() && found->second->client == client;
}

std::size_t StreamStore::size() {
  const std::lock_guard lock(mutex_);
  drop_expired();
  return streams_.size();
}

}  // namespace qwen3guard::server
