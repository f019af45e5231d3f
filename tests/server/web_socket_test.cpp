// Streams over WebSockets.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "client.h"
#include "running_server.h"
#include "web_socket_client.h"

namespace qwen3guard::server::test {
namespace {

using nlohmann::json;

const json kQuestion = {
    {"messages", {{{"role", "user"}, {"content", "How do I whittle a spoon?"}}}}};
const std::string kAnswer = "First, find a dry branch. 你好 <|im_end|> Naïve 😀 carves.\n";

double streams_open(std::uint16_t port) {
  Client client(port);
  const std::string page = client.ask("GET", "/metrics").body;
  const std::string name = "\nqwen3guard_streams ";
  return std::atof(page.c_str() + page.find(name) + name.size());
}

// Gives up after 20 seconds.
bool no_stream_is_left(std::uint16_t port) {
  for (int i = 0; i < 400; ++i) {
    if (streams_open(port) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

TEST(WebSockets, GiveTheVerdictsThatRequestsGive) {
  RunningServer server;
  Client client(server.port());
  const json opened = client.post("/v1/streams", kQuestion).json();
  const std::string path = "/v1/streams/" + opened["id"].get<std::string>() + "/append";
  WebSocketClient socket(server.port());
  const json first = socket.ask(kQuestion).json();
  EXPECT_EQ(first["prompt"], opened["prompt"]);
  EXPECT_NE(first["id"], opened["id"]);
  for (const json& message : {json{{"text", kAnswer.substr(0, 10)}},
                              json{{"text", kAnswer.substr(10)}}, json{{"finish", true}}}) {
    json expected = client.post(path, message).json();
    expected["id"] = first["id"];
    EXPECT_EQ(socket.ask(message).json(), expected);
  }
  EXPECT_EQ(socket.receive().close_code(), 1000);
  EXPECT_TRUE(socket.closes());
  EXPECT_TRUE(no_stream_is_left(server.port()));
}

TEST(WebSockets, HaveTurns) {
  RunningServer server;
  Client client(server.port());
  WebSocketClient socket(server.port());
  const json id = socket.ask(kQuestion).json()["id"];
  EXPECT_EQ(socket.ask(kQuestion).code(), "invalid_state");
  socket.ask({{"text", kAnswer}, {"end_turn", true}});
  const json question = {{"role", "user"}, {"content", "And then?"}};
  const json turn = socket.ask({{"messages", {question}}}).json();
  EXPECT_EQ(turn["object"], "stream.turn");
  EXPECT_EQ(turn["id"], id);
  const json last = socket.ask({{"text", "Sand it."}, {"finish", true}}).json();
  const json whole = {{"messages",
                       {kQuestion["messages"][0],
                        {{"role", "assistant"}, {"content", kAnswer}},
                        question,
                        {{"role", "assistant"}, {"content", "Sand it."}}}}};
  EXPECT_EQ(last["response"], client.post("/v1/classify", whole).json()["data"][0]["qwen3guard"]);
  EXPECT_EQ(socket.receive().close_code(), 1000);
}

TEST(WebSockets, EndTheirStreamHoweverTheyEnd) {
  RunningServer server;
  {
    WebSocketClient deleting(server.port());
    const json id = deleting.ask(kQuestion).json()["id"];
    EXPECT_EQ(deleting.ask({{"delete", false}}).code(), "invalid_argument");
    EXPECT_EQ(deleting.ask({{"delete", true}}).json(),
              json({{"id", id}, {"object", "stream"}, {"deleted", true}}));
    EXPECT_EQ(deleting.receive().close_code(), 1000);
  }
  WebSocketClient closing(server.port()), vanishing(server.port()), halfway(server.port());
  for (WebSocketClient* socket : {&closing, &vanishing, &halfway}) {
    EXPECT_EQ(socket->ask(kQuestion).json()["object"], "stream");
  }
  EXPECT_EQ(streams_open(server.port()), 3);
  EXPECT_EQ(closing.ask({{"text", "Carve"}}).json()["finished"], false);
  closing.send(frame_bytes(kCloseFrame, "\x03\xe8"));
  EXPECT_EQ(closing.receive().close_code(), 1000);
  vanishing.say({{"text", "Carve along the grain."}});  // and does not wait for its verdicts
  vanishing.vanish();
  halfway.send(frame_bytes(kTextFrame, R"({"text": "Carve"})").substr(0, 9));
  halfway.vanish();
  EXPECT_TRUE(no_stream_is_left(server.port()));
}

TEST(WebSockets, TakeMessagesInAnyFramesAndPieces) {
  RunningServer server;
  WebSocketClient socket(server.port());
  for (const char byte : frame_bytes(kTextFrame, kQuestion.dump())) {
    socket.send(std::string_view(&byte, 1));
  }
  EXPECT_EQ(socket.receive().json()["object"], "stream");
  const std::string message = json{{"text", "Carve 你好 along"}}.dump();
  const std::size_t cut = message.find("\xe4") + 1;  // inside a character
  socket.send(frame_bytes(kTextFrame, message.substr(0, cut), false));
  socket.send(frame_bytes(kPingFrame, "still there?"));
  socket.send(frame_bytes(0, "", false));
  socket.send(frame_bytes(0, message.substr(cut)));
  const Frame pong = socket.receive();
  EXPECT_EQ(pong.opcode, kPongFrame);
  EXPECT_EQ(pong.payload, "still there?");
  EXPECT_EQ(socket.receive().json()["object"], "stream.tokens");
  // Two at once are answered in turn.
  socket.send(frame_bytes(kTextFrame, R"({"text": " the"})") +
              frame_bytes(kTextFrame, R"({"text": " grain", "finish": true})"));
  EXPECT_EQ(socket.receive().json()["finished"], false);
  EXPECT_EQ(socket.receive().json()["finished"], true);
}

TEST(WebSockets, WrongMessagesAreAnsweredAndChangeNothing) {
  ServerOptions options;
  options.service.streams.text_bytes = 100;
  RunningServer server(options);
  WebSocketClient socket(server.port()), undisturbed(server.port());
  EXPECT_EQ(socket.ask({{"text", "too early"}}).code(), "invalid_state");
  EXPECT_EQ(socket.ask({{"delete", true}}).code(), "invalid_state");
  EXPECT_EQ(socket.ask({{"messages", json::array()}}).code(), "invalid_argument");
  json first = socket.ask(kQuestion).json();
  EXPECT_EQ(first["object"], "stream");
  undisturbed.ask(kQuestion);
  for (const char* text : {"not json", "", "[]", R"({"text":5})", R"({"txt":"a"})", "{}",
                           R"({"text":"a","text":"b"})", R"({"text":"a"} x)"}) {
    socket.send(frame_bytes(kTextFrame, text));
    const std::string code = socket.receive().code();
    EXPECT_TRUE(code == "invalid_json" || code == "invalid_argument") << text << code;
  }
  EXPECT_EQ(socket.ask({{"text", std::string(101, 'a')}}).code(), "too_long");
  const json message = {{"text", "Carve along the grain."}, {"finish", true}};
  EXPECT_EQ(socket.ask(message).json()["response"], undisturbed.ask(message).json()["response"]);
}

TEST(WebSockets, CloseWhereJudgingFails) {
  RunningServer server;
  WebSocketClient socket(server.port()), other(server.port());
  other.ask(kQuestion);
  const json closing = other.ask({{"text", "a"}, {"finish", true}}).json()["tokens"].back()["id"];
  socket.ask(kQuestion);
  EXPECT_EQ(socket.ask({{"ids", {closing}}}).code(), "invalid_argument");
  EXPECT_EQ(socket.receive().close_code(), 1011);
  EXPECT_TRUE(socket.closes());
}

TEST(WebSockets, HostileFramesEndTheConnectionAndNothingElse) {
  ServerOptions options;
  options.http.body_bytes = 10'000;
  RunningServer server(options);
  WebSocketClient witness(server.port());
  EXPECT_EQ(witness.ask(kQuestion).json()["object"], "stream");
  const std::string part = frame_bytes(0, std::string(3'000, 'a'), false);
  struct Hostile {
    const char* what;
    std::string bytes;
    int close;
  };
  const std::vector<Hostile> all = {
      {"binary", frame_bytes(kBinaryFrame, "{}"), 1003},
      {"not UTF-8", frame_bytes(kTextFrame, "{\"text\": \"\xff\"}"), 1007},
      {"half a character", frame_bytes(kTextFrame, "\xe4\xbd"), 1007},
      {"a surrogate", frame_bytes(kTextFrame, "\xed\xa0\x80"), 1007},
      {"too large", frame_bytes(kTextFrame, std::string(10'001, ' ')), 1009},
      {"a length beyond all", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x12\x34\x56\x78", 1009},
      {"too large in parts", frame_bytes(kTextFrame, "a", false) + part + part + part + part, 1009},
      {"not masked", frame_bytes(kTextFrame, "{}", true, false), 1002},
      {"a reserved opcode", frame_bytes(3, "{}"), 1002},
      {"a reserved bit", "\xc1" + frame_bytes(kTextFrame, "{}").substr(1), 1002},
      {"a continuation of nothing", frame_bytes(0, "{}"), 1002},
      {"a ping in parts", frame_bytes(kPingFrame, "a", false), 1002},
      {"a long ping", frame_bytes(kPingFrame, std::string(126, 'a')), 1002},
      {"a new message inside one",
       frame_bytes(kTextFrame, "{", false) + frame_bytes(kTextFrame, "}"), 1002},
      {"a close code that is none", frame_bytes(kCloseFrame, "\x03\xed"), 1002},
      {"HTTP", "GET /health HTTP/1.1\r\nHost: t\r\n\r\n", 1002},
  };
  for (const Hostile& hostile : all) {
    WebSocketClient socket(server.port());
    EXPECT_EQ(socket.ask(kQuestion).json()["object"], "stream");
    socket.send(hostile.bytes);
    EXPECT_EQ(socket.receive().close_code(), hostile.close) << hostile.what;
    EXPECT_TRUE(socket.closes()) << hostile.what;
  }
  EXPECT_EQ(witness.ask({{"text", "Carve"}, {"finish", true}}).json()["finished"], true);
  EXPECT_TRUE(no_stream_is_left(server.port()));
}

TEST(WebSockets, HandshakesThatAreNoneAreRefused) {
  ServerOptions options;
  options.keys = *ApiKeys::parse("alice 0123456789abcdef\nbob fedcba9876543210");
  RunningServer server(options);
  const Headers alice = {{"X-Api-Key", "0123456789abcdef"}};
  Client client(server.port());
  EXPECT_EQ(client.ask("GET", "/v1/streams", "", handshake()).code(), "unauthorized");
  const Answer plain = client.ask("GET", "/v1/streams", "", alice);
  EXPECT_EQ(plain.status, 426);
  EXPECT_EQ(plain.headers.at("upgrade"), "websocket");
  for (const char* missing :
       {"Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"}) {
    Headers headers = handshake(alice);
    headers.erase(missing);
    EXPECT_EQ(client.ask("GET", "/v1/streams", "", headers).status, 426) << missing;
  }
  Headers old = handshake(alice);
  old["Sec-WebSocket-Version"] = "8";
  EXPECT_EQ(client.ask("GET", "/v1/streams", "", old).status, 426);
  Headers foreign = handshake(alice);
  for (const char* origin : {"https://elsewhere.example", "null", "http://test:81"}) {
    foreign["Origin"] = origin;
    const Answer answer = client.ask("GET", "/v1/streams", "", foreign);
    EXPECT_EQ(answer.status, 403) << origin;
    EXPECT_EQ(answer.code(), "foreign_origin");
  }
  EXPECT_EQ(client.ask("POST", "/v1/moderations", R"({"input":"a"})", handshake(alice)).status,
            200);

  Client eager(server.port());
  eager.send(request_bytes("GET", "/v1/streams", "", handshake(alice)) +
             frame_bytes(kTextFrame, kQuestion.dump()));
  const Answer refused = eager.receive();
  EXPECT_TRUE(refused.status == 101 || refused.code() == "bad_websocket") << refused.status;

  foreign["Origin"] = "http://test";  // the name under which the test asks
  WebSocketClient socket(server.port(), foreign);
  const std::string id = socket.ask(kQuestion).json()["id"];
  const Headers bob = {{"X-Api-Key", "fedcba9876543210"}};
  EXPECT_EQ(client.post("/v1/streams/" + id + "/append", {{"text", "a"}}, bob).status, 404);
}

TEST(WebSockets, ShareTheLimitOfStreams) {
  ServerOptions options;
  options.service.streams.streams = 2;
  RunningServer server(options);
  Client client(server.port());
  EXPECT_EQ(client.post("/v1/streams", kQuestion).status, 201);
  WebSocketClient second(server.port()), third(server.port());
  EXPECT_EQ(second.ask(kQuestion).json()["object"], "stream");
  EXPECT_EQ(third.ask(kQuestion).code(), "overloaded");
  EXPECT_EQ(client.post("/v1/streams", kQuestion).status, 503);
  EXPECT_EQ(second.ask({{"delete", true}}).json()["deleted"], true);
  EXPECT_EQ(third.ask(kQuestion).json()["object"], "stream");
}

TEST(WebSockets, OfSilentClientsAreClosed) {
  ServerOptions options;
  options.service.streams.time_to_live = std::chrono::seconds(1);
  RunningServer server(options);
  WebSocketClient silent(server.port()), slow(server.port());
  EXPECT_EQ(slow.ask(kQuestion).json()["object"], "stream");
  slow.send(frame_bytes(kTextFrame, R"({"text": "a"})").substr(0, 8));
  EXPECT_EQ(silent.receive().close_code(), 1001);
  EXPECT_EQ(slow.receive().close_code(), 1001);
  EXPECT_TRUE(silent.closes());
}

TEST(WebSockets, OfClientsThatNeverAnswerACloseAreEnded) {
  ServerOptions options;
  options.service.streams.time_to_live = std::chrono::seconds(1);
  RunningServer server(options);
  WebSocketClient silent(server.port());
  EXPECT_EQ(silent.receive().close_code(), 1001);
  EXPECT_EQ(silent.receive().opcode, -1);
}

TEST(WebSockets, AreClosedWhenTheServerStops) {
  RunningServer server;
  WebSocketClient waiting(server.port()), empty(server.port());
  EXPECT_EQ(waiting.ask(kQuestion).json()["object"], "stream");
  EXPECT_EQ(waiting.ask({{"text", "Carve"}}).json()["finished"], false);
  server.drain();
  for (WebSocketClient* socket : {&waiting, &empty}) {
    EXPECT_EQ(socket->receive().close_code(), 1001);
    EXPECT_TRUE(socket->closes());
  }
  EXPECT_TRUE(server.stops());
}

}  // namespace
}  // namespace qwen3guard::server::test
