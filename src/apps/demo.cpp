#include "apps/demo.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/stream_feed.h"
#include "apps/stream_view.h"
#include "base/try.h"
#include "tokens/utf8.h"

namespace qwen3guard::apps {
namespace {

constexpr int kMillisecondsPerConversation = 5000;
constexpr int kSlowestPace = 120;

// About a word each: up to and including a space, or one character of a script without spaces.
std::vector<std::string_view> pieces(std::string_view text) {
  std::vector<std::string_view> result;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = tokens::utf8_size(text[i]);
    const bool ends = text[i] == ' ' || size >= 3;
    i += size;
    if (ends || i >= text.size()) {
      result.push_back(text.substr(begin, i - begin));
      begin = i;
    }
  }
  return result;
}

class Typist {
 public:
  Typist(const DemoConversation& conversation, std::optional<int> pace)
      : thinking_(pieces(conversation.thinking)), answer_(pieces(conversation.answer)) {
    const int count = static_cast<int>(std::max<std::size_t>(1, thinking_.size() + answer_.size()));
    pause_ = std::chrono::milliseconds(
        pace.value_or(std::min(kSlowestPace, kMillisecondsPerConversation / count)));
  }

  Status type(StreamFeed& feed) const {
    for (const std::string_view piece : thinking_) {
      QG_CHECK_OK(feed.append_thinking(piece));
      std::this_thread::sleep_for(pause_);
    }
    for (const std::string_view piece : answer_) {
      QG_CHECK_OK(feed.append(piece));
      std::this_thread::sleep_for(pause_);
    }
    return feed.finish();
  }

 private:
  std::vector<std::string_view> thinking_;
  std::vector<std::string_view> answer_;
  std::chrono::milliseconds pause_{};
};

}  // namespace

Status run_demo(const Guard& guard, const Policy& policy, Output& output, Palette palette,
                std::optional<int> pace) {
  const std::span<const DemoConversation> conversations = demo_conversations();
  QG_CHECK_OK(
      output.write("Each token is judged as it arrives: " + std::string(palette.text(Risk::kSafe)) +
                   "safe" + std::string(palette.reset()) + ", " +
                   std::string(palette.text(Risk::kControversial)) + "controversial" +
                   std::string(palette.reset()) + ", " + std::string(palette.text(Risk::kUnsafe)) +
                   "unsafe" + std::string(palette.reset()) + "; policy " + policy.name() + ".\n"));
  std::size_t number = 0;
  for (const DemoConversation& conversation : conversations) {
    ++number;
    QG_CHECK_OK(output.write("\n" + std::string(palette.dim()) + std::to_string(number) + "/" +
                             std::to_string(conversations.size()) + "  " +
                             std::string(conversation.title) + std::string(palette.reset()) +
                             "\n"));
    QG_TRY(Session session, guard.open({{Role::kUser, std::string(conversation.prompt)}}, policy));
    const auto view = text_view(output, guard, palette);
    QG_CHECK_OK(view->prompt(conversation.prompt, session.prompt()));
    StreamFeed feed(session, *view, false);
    QG_CHECK_OK(Typist(conversation, pace).type(feed));
    QG_CHECK_OK(view->end(session.prompt(), session.response(), false));
  }
  return output.close();
}

}  // namespace qwen3guard::apps
