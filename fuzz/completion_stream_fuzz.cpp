// What an upstream sends, as server-sent events; the first byte chooses the mode and how the bytes
// are cut. Whatever comes, the output is a stream of whole events, an error is no text, and in mode
// hold what is sent is a beginning of what the same bytes say in one piece.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/completion_body.h"
#include "gateway/completion_stream.h"
#include "qwen3guard/guard.h"

namespace {

using namespace qwen3guard;
using namespace qwen3guard::gateway;

void require(bool condition) {
  if (!condition) std::abort();
}

const Guard& guard() {
  static const Guard loaded = [] {
    auto guard = Guard::load(QG_FUZZ_MODEL, {.threads = 1});
    require(guard.ok());
    return *guard;
  }();
  return loaded;
}

nlohmann::ordered_json verdict_json(const Verdict& verdict) {
  return {{"decision", decision_name(verdict.decision)}};
}

std::vector<ResponseFilter> filters(const AnswerOptions& options) {
  std::vector<ResponseFilter> opened;
  for (int i = 0; i < 2; ++i) {
    auto session = guard().open({{Role::kUser, "Hi"}}, Policy::strict());
    require(session.ok());
    opened.emplace_back(std::move(*session), Policy::strict(), options.filter);
  }
  return opened;
}

struct Outcome {
  std::string text;
  bool blocked = false;
  bool failed = false;
};

Outcome run(std::string_view bytes, const AnswerOptions& options, std::size_t step) {
  CompletionStream stream(filters(options), options, verdict_json);
  std::string output;
  Outcome outcome;
  const auto check = [&](const Status& status) {
    if (status.ok()) return true;
    outcome.failed = true;
    stream.fail("upstream_failed", "it broke");
    return false;
  };
  bool goes_on = true;
  for (std::size_t at = 0; goes_on && at < bytes.size(); at += step) {
    goes_on = check(stream.feed(bytes.substr(at, step))) && check(stream.judge());
    output += stream.take();
  }
  if (goes_on && check(stream.feed_end())) check(stream.judge());
  output += stream.take();
  require(stream.ended());

  SseReader reader(std::size_t{1} << 26);
  std::vector<std::string> events;
  require(reader.feed(output, events).ok());
  require(!events.empty());
  require((events.back() == "[DONE]") == !outcome.failed);
  for (const std::string& data : events) {
    if (data == "[DONE]") continue;
    const auto chunk = nlohmann::json::parse(data, nullptr, false);
    require(chunk.is_object());
    if (chunk.contains("error")) continue;
    for (const auto& choice : chunk["choices"]) {
      const auto delta = choice.find("delta");
      if (delta == choice.end() || !delta->is_object()) continue;
      const auto content = delta->find("content");
      if (content != delta->end() && content->is_string() && choice.value("index", 0) == 0) {
        outcome.text += content->get<std::string>();
      }
    }
  }
  outcome.blocked = stream.blocked();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  AnswerOptions options;
  options.filter.mode = static_cast<ResponseMode>(data[0] & 3u);
  options.filter.block_characters = data[0] & 4u ? 5 : 0;
  options.event_bytes = 2048;
  options.on_flag = data[0] & 8u ? OnFlag::kReplace : OnFlag::kStop;
  const std::size_t step = 1 + (data[0] >> 4);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  const Outcome pieces = run(bytes, options, step * 7);
  const Outcome whole = run(bytes, options, bytes.size() + 1);
  require(pieces.failed == whole.failed || pieces.blocked || whole.blocked);
  if (options.filter.mode == ResponseMode::kHold && !pieces.failed && !whole.failed) {
    require(pieces.text == whole.text && pieces.blocked == whole.blocked);
  }

  auto body = CompletionBody::parse(bytes, 2);
  if (!body.ok()) return 0;
  auto opened = filters(options);
  const auto guarded = std::move(*body).guard(opened, Verdict(), options, verdict_json);
  if (guarded.ok()) require(nlohmann::json::parse(guarded->body, nullptr, false).is_object());
  return 0;
}
