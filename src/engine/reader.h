// The sequence of ids that a session's model has read, and the KV cache behind it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/loaded.h"

namespace qwen3guard::engine {

/// Keeps a growing sequence of ids in step with a KV cache. When the sequence outgrows the model
/// and sliding is allowed, the cache holds the ids before `keep_front` and the newest of the rest,
/// at contiguous positions. Where it slides depends on the sequence alone, never on how it was cut.
class Reader {
 public:
  explicit Reader(std::shared_ptr<const Loaded> loaded);

  std::span<const tokens::TokenId> ids() const { return ids_; }
  std::size_t size() const { return ids_.size(); }
  /// The first `count` ids always stay in the window. REQUIRES: count <= size().
  void keep_front(std::size_t count) { front_ = count; }
  bool slid() const { return dropped_ > 0; }

  /// Takes over what the shared prefix cache knows of `ids`, all but the last one at most. For an
  /// empty reader; no states come with it.
  void take_prefix(std::span<const tokens::TokenId> ids);
  /// Offers what was read to the shared prefix cache.
  void share_prefix();

  /// Reads more ids; returns the final-normed states of the last `wanted` of them [wanted, hidden].
  /// Errors: those of Model::forward; then nothing was read.
  Result<std::vector<float>> read(std::span<const tokens::TokenId> ids, std::size_t wanted);
  /// Forgets all ids from `size` on. Errors only when a window must be read again.
  Status truncate(std::size_t size);

 private:
  std::size_t room() const;
  // Ids after the front that the window has dropped once `size` ids were read.
  std::size_t dropped_at(std::size_t size) const;
  std::size_t slide_step() const;
  // Reads again what the window holds once `dropped` ids after the front are gone.
  Status read_window(std::size_t dropped);

  std::shared_ptr<const Loaded> loaded_;
  model::KvCache cache_;
  model::Workspace workspace_;
  std::vector<tokens::TokenId> ids_;
  std::size_t front_ = 0;
  std::size_t dropped_ = 0;
};

}  // namespace qwen3guard::engine
