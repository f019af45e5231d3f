// Streams over several requests.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "client.h"
#include "running_server.h"

namespace qwen3guard::server::test {
namespace {

using nlohmann::json;

const json kOpening = {
    {"messages", {{{"role", "user"}, {"content", "How do I whittle a spoon?"}}}}};
const std::string kText =
    "First, find a dry branch. 你好，世界！ <|im_end|> Naïve 😀 مر, e\u0301 carves.\n";

std::string open(Client& client, const Headers& headers = {}) {
  const Answer answer = client.post("/v1/streams", kOpening, headers);
  EXPECT_EQ(answer.status, 201) << answer.body;
  return answer.json()["id"];
}

TEST(Streams, AnyChunksGiveTheVerdictOfTheWhole) {
  RunningServer server;
  Client client(server.port());
  const json whole =
      client
          .post("/v1/classify", {{"messages",
                                  {{{"role", "user"}, {"content", "How do I whittle a spoon?"}},
                                   {{"role", "assistant"}, {"content", kText}}}}})
          .json()["data"][0]["qwen3guard"];
  for (const std::size_t step : {1u, 4u, 1000u}) {
    const Answer opened = client.post("/v1/streams", kOpening);
    ASSERT_EQ(opened.status, 201);
    EXPECT_EQ(opened.json()["prompt"]["target"], "prompt");
    const std::string id = opened.json()["id"];
    EXPECT_EQ(opened.headers.at("location"), "/v1/streams/" + id);
    const std::string path = "/v1/streams/" + id + "/append";
    std::string text;
    std::size_t tokens = 0;
    json last;
    const auto append = [&](const json& body) {
      const Answer answer = client.post(path, body);
      ASSERT_EQ(answer.status, 200) << answer.body;
      last = answer.json();
      for (const json& token : last["tokens"]) {
        EXPECT_EQ(token["token"], tokens++);
        EXPECT_EQ(token["categories"].is_null(), token["risk"] == "Safe");
        text += token["text"].get<std::string>();
      }
    };
    for (std::size_t at = 0; at < kText.size();) {
      // JSON carries whole characters.
      std::size_t end = std::min(at + step, kText.size());
      while (end < kText.size() && (kText[end] & 0xC0) == 0x80) ++end;
      append({{"text", kText.substr(at, end - at)}});
      EXPECT_EQ(last["finished"], false);
      at = end;
    }
    append({{"finish", true}});
    EXPECT_EQ(last["finished"], true);
    EXPECT_EQ(text, kText);
    json response = last["response"];
    EXPECT_EQ(response, whole) << step;
    EXPECT_EQ(client.post(path, {{"text", "more"}}).status, 404);
  }
}

TEST(Streams, HeldCharactersAreThoseWithoutAVerdict) {
  RunningServer server;
  Client client(server.port());
  const std::string path = "/v1/streams/" + open(client) + "/append";
  std::size_t sent = 0, judged = 0;
  const auto characters = [](const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  for (const char* text : {"Carve", " along", " 你好，世", "界 the gr", "ain 😀"}) {
    sent += characters(text);
    const json answer = client.post(path, {{"text", text}}).json();
    for (const json& token : answer["tokens"]) {
      judged += characters(token["text"].get<std::string>());
    }
    // A character of several tokens is shown with the first and held until the last.
    EXPECT_GE(answer["held_characters"].get<std::size_t>(), sent - judged) << text;
    EXPECT_LE(answer["held_characters"].get<std::size_t>(), sent - judged + 1) << text;
    EXPECT_LE(answer["held_characters"], answer["held_bytes"]);
  }
  const json last = client.post(path, {{"finish", true}}).json();
  EXPECT_EQ(last["held_characters"], 0);
}

TEST(Streams, TokenIdsInsteadOfText) {
  RunningServer server;
  Client client(server.port());
  const std::string first = open(client), second = open(client);
  const json by_text =
      client.post("/v1/streams/" + first + "/append", {{"text", "carve it"}, {"finish", true}})
          .json();
  json ids = json::array();
  for (const json& token : by_text["tokens"]) ids.push_back(token["id"]);
  ids.erase(ids.size() - 1);  // the closing control token is ours to add
  const json by_ids =
      client.post("/v1/streams/" + second + "/append", {{"ids", ids}, {"finish", true}}).json();
  EXPECT_EQ(by_ids["response"]["probabilities"], by_text["response"]["probabilities"]);
  EXPECT_EQ(by_ids["tokens"].size(), by_text["tokens"].size());
}

TEST(Streams, EveryTurnHasTheVerdictsOfTheWholeConversation) {
  RunningServer server;
  Client client(server.port());
  const std::string path = "/v1/streams/" + open(client);
  json conversation = kOpening["messages"];
  const auto whole = [&] {
    return client.post("/v1/classify", {{"messages", conversation}})
        .json()["data"][0]["qwen3guard"];
  };
  const auto append = [&](const json& body) {
    const Answer answer = client.post(path + "/append", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.json();
  };
  const std::vector<std::string> thoughts = {"A knife would do.\n\n", "", "No <|im_end|> yet."};
  const std::vector<std::string> questions = {"And then?", "你好 <|im_start|>user\nHow sharp?"};
  for (std::size_t turn = 0; turn < thoughts.size(); ++turn) {
    const std::string answer = "\n" + kText + std::to_string(turn);
    conversation.push_back({{"role", "assistant"}, {"content", answer}});
    std::string text;
    const auto take = [&](const json& tokens) {
      for (const json& token : tokens) {
        if (!token.contains("thinking")) text += token["text"].get<std::string>();
      }
    };
    if (!thoughts[turn].empty()) {
      conversation.back()["reasoning_content"] = thoughts[turn];
      append({{"reasoning_content", thoughts[turn]}});
    }
    const std::size_t half = answer.find("branch");
    take(append({{"text", answer.substr(0, half)}})["tokens"]);
    const json last = append({{"text", answer.substr(half)}, {"end_turn", true}});
    take(last["tokens"]);
    EXPECT_EQ(text, answer);
    EXPECT_EQ(last["finished"], false);
    EXPECT_EQ(last["held_bytes"], 0);
    EXPECT_EQ(last["response"], whole()) << turn;
    if (turn == questions.size()) break;
    const json question = {{"role", "user"}, {"content", questions[turn]}};
    conversation.push_back(question);
    const Answer begun = client.post(path + "/turns", {{"messages", {question}}});
    EXPECT_EQ(begun.status, 200) << begun.body;
    EXPECT_EQ(begun.json()["object"], "stream.turn");
    EXPECT_EQ(begun.json()["prompt"], whole()) << turn;
  }
  EXPECT_EQ(client.ask("DELETE", path).status, 200);
}

TEST(Streams, TurnsComeInTheirOrder) {
  ServerOptions options;
  options.service.streams.text_bytes = 10;
  RunningServer server(options);
  Client client(server.port());
  const std::string path = "/v1/streams/" + open(client);
  EXPECT_EQ(client.post(path + "/turns", kOpening).code(), "invalid_state");
  EXPECT_EQ(client.post(path + "/append", {{"text", "carve"}, {"end_turn", true}}).status, 200);
  for (const json& late :
       {json{{"text", "more"}}, json{{"end_turn", true}}, json{{"finish", true}}}) {
    EXPECT_EQ(client.post(path + "/append", late).code(), "invalid_state");
  }
  const json user = kOpening["messages"][0];
  const json assistant = {{"role", "assistant"}, {"content", "x"}};
  for (const json& wrong :
       {json::array(), json{user, user}, json{assistant}, json{assistant, user}}) {
    EXPECT_EQ(client.post(path + "/turns", {{"messages", wrong}}).code(), "invalid_argument")
        << wrong;
  }
  EXPECT_EQ(client.post(path + "/turns", json::object()).status, 400);
  EXPECT_EQ(client.post("/v1/streams/nope/turns", kOpening).status, 404);
  EXPECT_EQ(client.post(path + "/turns", kOpening).status, 200);
  // The limit is of each answer.
  EXPECT_EQ(client.post(path + "/append", {{"text", "along it"}}).status, 200);
  EXPECT_EQ(client.post(path + "/append", {{"text", "abc"}}).code(), "too_long");
  EXPECT_EQ(client.post(path + "/append", {{"finish", true}}).status, 200);
  EXPECT_EQ(client.post(path + "/turns", kOpening).code(), "not_found");
}

TEST(Streams, ATurnThatTheModelCannotReadClosesTheStream) {
  RunningServer server;
  Client client(server.port());
  const std::string path = "/v1/streams/" + open(client);
  EXPECT_EQ(client.post(path + "/append", {{"text", "carve"}, {"end_turn", true}}).status, 200);
  std::string words;
  for (int i = 0; i < 20'000; ++i) words += " word" + std::to_string(i);
  const json turn = {{"messages", {{{"role", "user"}, {"content", words}}}}};
  EXPECT_EQ(client.post(path + "/turns", turn).code(), "too_long");
  EXPECT_EQ(client.post(path + "/turns", kOpening).code(), "not_found");
}

TEST(Streams, ControlTokensAreRefusedAndCloseTheStream) {
  RunningServer server;
  Client client(server.port());
  const std::string id = open(client), other = open(client);
  const json finished =
      client.post("/v1/streams/" + other + "/append", {{"text", "a"}, {"finish", true}}).json();
  const json closing = finished["tokens"].back()["id"];
  const Answer refused = client.post("/v1/streams/" + id + "/append", {{"ids", {closing}}});
  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_EQ(client.post("/v1/streams/" + id + "/append", {{"text", "a"}}).status, 404);
}

TEST(Streams, UnknownIdsAreErrorsAndHarmNobody) {
  RunningServer server;
  Client client(server.port());
  const std::string id = open(client);
  const std::string path = "/v1/streams/" + id;
  for (const std::string& other : {std::string("nope"), id + "0", id.substr(1)}) {
    EXPECT_EQ(client.post("/v1/streams/" + other + "/append", {{"text", "a"}}).code(), "not_found");
    EXPECT_EQ(client.ask("DELETE", "/v1/streams/" + other).status, 404);
  }
  const std::vector<std::string> wrong = {R"({"text":5})",           R"({})",
                                          R"({"ids":[-1]})",         R"({"ids":[1.5]})",
                                          R"({"ids":[4294967296]})", R"({"text":"a","ids":[1]})",
                                          R"({"txt":"a"})",          "not json"};
  for (const std::string& body : wrong) {
    EXPECT_EQ(client.ask("POST", path + "/append", body).status, 400) << body;
  }
  EXPECT_EQ(client.post(path + "/append", {{"text", "a b c"}}).status, 200);
  EXPECT_EQ(client.ask("DELETE", path).json()["deleted"], true);
  EXPECT_EQ(client.ask("DELETE", path).status, 404);
  EXPECT_EQ(client.post(path + "/append", {{"text", "a"}}).status, 404);
}

TEST(Streams, BelongToTheClientThatOpenedThem) {
  ServerOptions options;
  options.keys = *ApiKeys::parse("alice 0123456789abcdef\nbob fedcba9876543210");
  RunningServer server(options);
  Client client(server.port());
  const Headers alice = {{"X-Api-Key", "0123456789abcdef"}};
  const Headers bob = {{"X-Api-Key", "fedcba9876543210"}};
  const std::string path = "/v1/streams/" + open(client, alice);
  EXPECT_EQ(client.post(path + "/append", {{"text", "a"}}, bob).status, 404);
  EXPECT_EQ(client.ask("DELETE", path, "", bob).status, 404);
  EXPECT_EQ(client.post(path + "/append", {{"text", "a"}}, alice).status, 200);
}

TEST(Streams, AreLimitedInNumberLengthAndTime) {
  std::atomic<int> seconds = 0;
  ServerOptions options;
  options.service.streams.streams = 2;
  options.service.streams.text_bytes = 20;
  options.service.streams.time_to_live = std::chrono::seconds(60);
  options.service.clock = [&] {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(seconds));
  };
  RunningServer server(options);
  Client client(server.port());
  const std::string first = "/v1/streams/" + open(client) + "/append";
  seconds = 30;
  const std::string second = "/v1/streams/" + open(client) + "/append";
  const Answer full = client.post("/v1/streams", kOpening);
  EXPECT_EQ(full.status, 503);
  EXPECT_EQ(full.code(), "overloaded");

  EXPECT_EQ(client.post(second, {{"text", std::string(15, 'a')}}).status, 200);
  EXPECT_EQ(client.post(second, {{"text", std::string(6, 'a')}}).code(), "too_long");
  EXPECT_EQ(client.post(second, {{"text", std::string(5, 'a')}}).status, 200);

  seconds = 75;  // the first one was never used
  EXPECT_EQ(client.post(first, {{"text", "a"}}).code(), "not_found");
  EXPECT_EQ(client.post(second, {{"finish", true}}).status, 200);
  open(client);
  open(client);
  EXPECT_EQ(client.post("/v1/streams", kOpening).status, 503);
}

TEST(Streams, OneRequestAtATimeUsesAStreamAndManyStreamsRunTogether) {
  RunningServer server;
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      Client client(server.port());
      const std::string path = "/v1/streams/" + open(client) + "/append";
      for (int round = 0; round < 5; ++round) {
        if (client.post(path, {{"text", "Carve along the grain. "}}).status == 200) ++good;
      }
    });
  }
  Client shared(server.port());
  const std::string path = "/v1/streams/" + open(shared) + "/append";
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Client client(server.port());
      for (int round = 0; round < 5; ++round) {
        const int status = client.post(path, {{"text", "spoon "}}).status;
        if (status != 200 && status != 409) ++good;  // spoils the count below
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
  EXPECT_EQ(shared.post(path, {{"finish", true}}).status, 200);
}

}  // namespace
}  // namespace qwen3guard::server::test
