#include "engine/reader.h"

#include <algorithm>

#include "base/check.h"
#include "base/try.h"

namespace qwen3guard::engine {

Reader::Reader(std::shared_ptr<const Loaded> loaded)
    : loaded_(std::move(loaded)), cache_(loaded_->new_cache()) {}

std::size_t Reader::room() const { return loaded_->model().config().max_positions - cache_.size(); }

// A full window of the newest ids drops its older half.
std::size_t Reader::slide_step() const {
  const std::size_t window = loaded_->model().config().max_positions - front_;
  return window - window / 2;
}

std::size_t Reader::dropped_at(std::size_t size) const {
  const std::size_t limit = loaded_->model().config().max_positions;
  if (size <= limit) return 0;
  const std::size_t excess = size - limit;
  return (excess + slide_step() - 1) / slide_step() * slide_step();
}

Status Reader::read_window(std::size_t dropped) {
  dropped_ = dropped;
  cache_.truncate(std::min(cache_.size(), front_));
  const auto window = std::span<const tokens::TokenId>(ids_).subspan(front_ + dropped);
  return loaded_->scheduler().read({window, &cache_, {}}, workspace_);
}

void Reader::take_prefix(std::span<const tokens::TokenId> ids) {
  QG_CHECK(ids_.empty() && cache_.size() == 0);
  if (ids.size() > loaded_->model().config().max_positions) return;
  const std::size_t known = loaded_->prefix_cache().fetch(ids, cache_);
  ids_.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(known));
}

void Reader::share_prefix() {
  if (!slid()) loaded_->prefix_cache().offer(ids_, cache_);
}

Result<std::vector<float>> Reader::read(std::span<const tokens::TokenId> ids, std::size_t wanted) {
  QG_CHECK(wanted <= ids.size());
  const model::ModelConfig& config = loaded_->model().config();
  const bool must_slide = ids.size() > room();
  if (must_slide && loaded_->options().overflow == Overflow::kError) {
    return Error{ErrorCode::kTooLong,
                 "the conversation has at least " + std::to_string(ids_.size() + ids.size()) +
                     " tokens, the model takes at most " + std::to_string(config.max_positions) +
                     " (max_position_embeddings); shorten it, or choose overflow \"slide\""};
  }
  if (must_slide && (front_ == 0 || front_ > config.max_positions / 2)) {
    return Error{ErrorCode::kTooLong,
                 "the conversation before the response takes " +
                     std::to_string(front_ == 0 ? ids_.size() + ids.size() : front_) +
                     " tokens; to slide a window over the response it may take at most " +
                     std::to_string(config.max_positions / 2) +
                     ", half of max_position_embeddings"};
  }

  std::vector<float> states(wanted * config.hidden_size);
  const std::size_t unread = ids.size() - wanted;
  const std::size_t before = ids_.size();
  for (std::size_t done = 0; done < ids.size();) {
    if (room() == 0) {
      QG_CHECK_OK(read_window(dropped_at(ids_.size() + 1)));
    }
    const std::size_t count = std::min(room(), ids.size() - done);
    const auto part = ids.subspan(done, count);
    const std::size_t skipped = std::clamp(unread, done, done + count);
    Status status = loaded_->scheduler().read(
        {part, &cache_,
         std::span(states).subspan((skipped - unread) * config.hidden_size,
                                   (done + count - skipped) * config.hidden_size)},
        workspace_);
    if (!status.ok()) {
      QG_CHECK_OK(truncate(before));
      return std::move(status).error();
    }
    ids_.insert(ids_.end(), part.begin(), part.end());
    done += count;
  }
  return states;
}

Status Reader::truncate(std::size_t size) {
  QG_CHECK(size <= ids_.size());
  ids_.resize(size);
  front_ = std::min(front_, size);
  if (dropped_at(size) != dropped_) return read_window(dropped_at(size));
  cache_.truncate(std::min(cache_.size(), size - dropped_));
  return {};
}

}  // namespace qwen3guard::engine
