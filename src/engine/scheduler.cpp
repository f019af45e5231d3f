#include "engine/scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/try.h"

namespace qwen3guard::engine {

Scheduler::Scheduler(const model::Model& model, base::ThreadPool& pool, const QueueLimits& limits)
    : model_(model), pool_(pool), limits_(limits) {}

Status Scheduler::admit(std::size_t tokens) {
  if (queue_.size() < limits_.conversations &&
      stats_.waiting_tokens + tokens <= limits_.waiting_tokens)
    return {};
  ++stats_.refused;
  return Error{ErrorCode::kOverloaded,
               "the guard is overloaded: " + std::to_string(queue_.size()) +
                   " conversations with " + std::to_string(stats_.waiting_tokens) +
                   " tokens are waiting, the limits are " + std::to_string(limits_.conversations) +
                   " and " + std::to_string(limits_.waiting_tokens) + "; try again later"};
}

Status Scheduler::read(const model::Sequence& sequence, model::Workspace& workspace) {
  return std::move(read({&sequence, 1}, workspace).front());
}

Scheduler::Request Scheduler::request(const model::Sequence& sequence) const {
  Request request;
  request.rest = sequence;
  request.start = sequence.cache->size();
  request.unread = sequence.ids.size() - sequence.hidden.size() / model_.config().hidden_size;
  request.done = sequence.ids.empty();
  return request;
}

std::vector<Status> Scheduler::read(std::span<const model::Sequence> batch,
                                    model::Workspace& workspace) {
  if (pool_.threads() == 1) return model_.forward(batch, workspace, pool_);

  std::vector<Request> requests;
  for (const model::Sequence& sequence : batch) requests.push_back(request(sequence));
  std::unique_lock<std::mutex> lock(mutex_);
  for (Request& request : requests) {
    if (request.done) continue;
    const std::size_t tokens = request.rest.ids.size();
    request.status = admit(tokens);
    request.done = !request.status.ok();
    if (request.done) continue;
    // A step under way cannot take it any more.
    request.served = stats_.steps + (running_ ? 1 : 0);
    queue_.push_back(&request);
    stats_.waiting_tokens += tokens;
  }
  const auto done = [](const Request& request) { return request.done; };
  while (!std::all_of(requests.begin(), requests.end(), done)) {
    if (running_) {
      changed_.wait(lock);
    } else {
      step(lock);
    }
  }
  std::vector<Status> results;
  for (Request& request : requests) results.push_back(std::move(request.status));
  return results;
}

// Everyone gets an equal share of the step, at least one token while there is room; what short ones
// leave over goes to the rest, longest waiting first.
std::vector<Scheduler::Piece> Scheduler::plan() {
  std::vector<Piece> pieces;
  std::size_t room = limits_.step_tokens;
  const std::size_t share = std::max<std::size_t>(1, room / queue_.size());
  for (Request* request : queue_) {
    if (room == 0) break;
    const std::size_t tokens = std::min({share, room, request->rest.ids.size()});
    pieces.push_back({request, tokens});
    stats_.longest_wait = std::max(stats_.longest_wait, stats_.steps - request->served);
    request->served = stats_.steps + 1;
    room -= tokens;
  }
  for (Piece& piece : pieces) {
    const std::size_t more = std::min(room, piece.request->rest.ids.size() - piece.tokens);
    piece.tokens += more;
    room -= more;
  }
  return pieces;
}

void Scheduler::step(std::unique_lock<std::mutex>& lock) {
  running_ = true;
  const std::vector<Piece> pieces = plan();
  QG_CHECK(!pieces.empty());
  const std::size_t width = model_.config().hidden_size;
  std::vector<model::Sequence> batch;
  std::size_t tokens = 0;
  for (const Piece& piece : pieces) {
    const Request& request = *piece.request;
    const std::size_t unread = std::min(request.unread, piece.tokens);
    batch.push_back({request.rest.ids.first(piece.tokens), request.rest.cache,
                     request.rest.hidden.first((piece.tokens - unread) * width)});
    tokens += piece.tokens;
  }
  QG_CHECK(tokens <= limits_.step_tokens);
  lock.unlock();  // the requests in the step are touched by this thread alone
  std::vector<Status> results = model_.forward(batch, workspace_, pool_);
  lock.lock();
  commit(pieces, std::move(results));
  running_ = false;
  changed_.notify_all();
}

void Scheduler::commit(const std::vector<Piece>& pieces, std::vector<Status> results) {
  const std::size_t width = model_.config().hidden_size;
  ++stats_.steps;
  stats_.sequences += pieces.size();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    Request& request = *pieces[i].request;
    const std::size_t tokens = pieces[i].tokens;
    const auto place = std::find(queue_.begin(), queue_.end(), &request);
    if (!results[i].ok()) {
      request.rest.cache->truncate(request.start);  // earlier steps are taken back too
      request.status = std::move(results[i]);
      request.done = true;
      stats_.waiting_tokens -= request.rest.ids.size();
      queue_.erase(place);
      continue;
    }
    const std::size_t unread = std::min(request.unread, tokens);
    request.rest.ids = request.rest.ids.subspan(tokens);
    request.rest.hidden = request.rest.hidden.subspan((tokens - unread) * width);
    request.unread -= unread;
    stats_.tokens += tokens;
    stats_.waiting_tokens -= tokens;
    if (request.rest.ids.empty()) {
      request.done = true;
      queue_.erase(place);
    } else {
      queue_.splice(queue_.end(), queue_, place);
    }
  }
}

Scheduler::Stats Scheduler::stats() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Stats stats = stats_;
  stats.waiting = queue_.size();
  return stats;
}

}  // namespace qwen3guard::engine
