#include "server/body_stream.h"

#include <utility>

namespace qwen3guard::server {

void BodyStream::write(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (closed_ || state_ != State::kOpen || bytes.empty()) return;
  waiting_ += bytes;
  if (wake_) wake_();
}

void BodyStream::set_state(State state) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::kOpen) return;
  state_ = state;
  if (wake_) wake_();
}

void BodyStream::when_below(std::size_t bytes, std::function<void()> ready) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_ && waiting_.size() > bytes) {
      room_below_ = bytes;
      ready_ = std::move(ready);
      return;
    }
  }
  ready();
}

BodyStream::Part BodyStream::take() {
  Part part;
  std::function<void()> ready;
  {
    const std::lock_guard lock(mutex_);
    part = {std::exchange(waiting_, {}), state_};
    ready = std::exchange(ready_, nullptr);
  }
  if (ready) ready();
  return part;
}

void BodyStream::on_change(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void BodyStream::close() {
  std::function<void()> ready;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiting_.clear();
    wake_ = nullptr;
    ready = std::exchange(ready_, nullptr);
  }
  if (ready) ready();
}

void Departure::watch(std::function<void()> gone) {
  {
    const std::lock_guard lock(mutex_);
    if (!happened_) {
      gone_ = std::move(gone);
      return;
    }
  }
  gone();
}

void Departure::happen() {
  std::function<void()> gone;
  {
    const std::lock_guard lock(mutex_);
    happened_ = true;
    gone = std::exchange(gone_, nullptr);
  }
  if (gone) gone();
}

}  // namespace qwen3guard::server
