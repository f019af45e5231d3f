// The streams that are open between requests.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "qwen3guard/guard.h"
#include "server/prompt_cache.h"

namespace qwen3guard::server {

/// The path of streams, before their ids.
constexpr std::string_view kStreamPath = "/v1/streams/";

struct Stream {
  explicit Stream(Session opened) : session(std::move(opened)) {}
  Session session;
  // What was judged so far.
  std::string thinking;
  std::string answer;
  // How many bytes of them stand in the text of tokens so far.
  std::size_t thinking_shown = 0;
  std::size_t answer_shown = 0;
  /// The answer is complete; another turn may follow.
  bool turn_ended = false;
  /// Whoever returns the stream like this ends it.
  bool ended = false;

  void begin_turn() {
    thinking.clear();
    answer.clear();
    thinking_shown = answer_shown = 0;
    turn_ended = ended = false;
  }
};

/// Thread-safe. A stream belongs to the client that opened it, is used by one request at a time,
/// and ends when nobody uses it for the time to live.
class StreamStore {
 public:
  struct Limits {
    std::size_t streams = 1024;
    std::size_t streams_of_client = 0;  // 0: no limit of its own
    std::size_t text_bytes = 1u << 20;  // of one answer
    std::chrono::seconds time_to_live{300};
  };

  /// Holds a stream for one request; nobody else gets at it until destruction.
  class Lease {
   public:
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Stream& operator*();
    Stream* operator->() { return &**this; }

   private:
    friend class StreamStore;
    struct Entry;
    Lease(StreamStore& store, std::string id, std::shared_ptr<Entry> entry)
        : store_(&store), id_(std::move(id)), entry_(std::move(entry)) {}
    StreamStore* store_;
    std::string id_;
    std::shared_ptr<Entry> entry_;
  };

  explicit StreamStore(const Limits& limits, Clock clock = std::chrono::steady_clock::now)
      : limits_(limits), now_(std::move(clock)) {}

  const Limits& limits() const { return limits_; }
  /// kOverloaded when there are as many streams as may be.
  Status check_room();
  /// Whether the client has as many as one client may have.
  bool full_for(const std::string& client);
  /// Returns the new stream's id, which nobody can guess. kOverloaded, also for one client's limit.
  Result<std::string> add(Session session, const std::string& client);
  /// kNotFound for an id that is unknown, expired or another client's; kInvalidState while another
  /// request uses it.
  Result<Lease> take(const std::string& id, const std::string& client);
  /// kNotFound. A request that uses the stream still finishes.
  Status remove(const std::string& id, const std::string& client);
  bool has(const std::string& id, const std::string& client);
  std::size_t size();

 private:
  using Entry = Lease::Entry;
  void drop_expired();
  Status check_room_locked();
  bool full_for_locked(const std::string& client) const;

  const Limits limits_;
  const Clock now_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> streams_;
};

}  // namespace qwen3guard::server
