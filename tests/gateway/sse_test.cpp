#include "gateway/sse.h"

#include <gtest/gtest.h>

namespace qwen3guard::gateway {
namespace {

using Events = std::vector<std::string>;

TEST(Sse, AnyPiecesGiveTheSameEvents) {
  const std::string text =
      "\xEF\xBB\xBF: comment\n\ndata: one\r\n\r\ndata:two\rdata:  three\r\rid: 7\nevent: x\n\n"
      "data\n\ndata: caf\xC3\xA9\n\ndata: never ended\n";
  const Events expected = {"one", "two\n three", "", "caf\xC3\xA9"};
  for (std::size_t step = 1; step <= text.size(); ++step) {
    SseReader reader(100);
    Events events;
    for (std::size_t at = 0; at < text.size(); at += step) {
      ASSERT_TRUE(reader.feed(std::string_view(text).substr(at, step), events).ok());
    }
    EXPECT_EQ(events, expected) << step;
  }
}

TEST(Sse, AnEventHasALimit) {
  SseReader reader(100);
  Events events;
  EXPECT_TRUE(reader.feed("data: " + std::string(94, 'a') + "\n\n", events).ok());
  EXPECT_TRUE(reader.feed("data: " + std::string(94, 'a'), events).ok());
  const Status status = reader.feed("a", events);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kTooLong);
  EXPECT_EQ(events.size(), 1u);

  SseReader lines(100);
  Status many;
  for (int i = 0; many.ok() && i < 100; ++i) many = lines.feed(": comment\n", events);
  EXPECT_FALSE(many.ok());
}

TEST(Sse, WhatIsWrittenIsRead) {
  SseReader reader(100);
  Events events;
  ASSERT_TRUE(reader.feed(sse_event(R"({"a":1})") + sse_event("[DONE]"), events).ok());
  EXPECT_EQ(events, (Events{R"({"a":1})", "[DONE]"}));
}

}  // namespace
}  // namespace qwen3guard::gateway
