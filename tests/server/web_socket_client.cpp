#include "web_socket_client.h"

#include <gtest/gtest.h>

namespace qwen3guard::server::test {

nlohmann::json Frame::json() const {
  EXPECT_EQ(opcode, kTextFrame) << payload;
  nlohmann::json parsed = nlohmann::json::parse(payload, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << payload;
  return parsed;
}

std::string Frame::code() const {
  const nlohmann::json parsed = json();
  if (!parsed.is_object() || !parsed.contains("error")) return "no error: " + payload;
  return parsed["error"]["code"].get<std::string>();
}

int Frame::close_code() const {
  if (opcode != kCloseFrame || payload.size() < 2) return 0;
  return static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
}

Headers handshake(const Headers& more) {
  Headers headers = {{"Upgrade", "websocket"},
                     {"Connection", "Upgrade"},
                     {"Sec-WebSocket-Version", "13"},
                     {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  headers.insert(more.begin(), more.end());
  return headers;
}

std::string frame_bytes(int opcode, std::string_view payload, bool last, bool masked) {
  std::string bytes(1, static_cast<char>((last ? 0x80 : 0) | opcode));
  const int mask_bit = masked ? 0x80 : 0;
  const std::size_t length_bytes = payload.size() < 126 ? 0 : payload.size() < 65536 ? 2 : 8;
  bytes += static_cast<char>(mask_bit | (length_bytes == 0   ? static_cast<int>(payload.size())
                                         : length_bytes == 2 ? 126
                                                             : 127));
  for (std::size_t i = length_bytes; i-- > 0;) {
    bytes += static_cast<char>(payload.size() >> (8 * i));
  }
  if (!masked) return bytes + std::string(payload);
  const std::string_view mask = "\x12\x34\x56\x78";
  bytes += mask;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    bytes += static_cast<char>(payload[i] ^ mask[i % mask.size()]);
  }
  return bytes;
}

WebSocketClient::WebSocketClient(std::uint16_t port, const Headers& headers) : client_(port) {
  client_.send(request_bytes("GET", "/v1/streams", "", handshake(headers)));
  Answer answer = client_.receive_head();
  EXPECT_EQ(answer.status, 101);
  // RFC 6455, section 1.3, has this key and its answer.
  EXPECT_EQ(answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

Frame WebSocketClient::receive() {
  const auto number = [&](std::size_t size) {
    std::size_t value = 0;
    for (const char byte : client_.receive_bytes(size)) {
      value = value << 8 | static_cast<unsigned char>(byte);
    }
    return value;
  };
  const std::string head = client_.receive_bytes(2);
  if (head.size() < 2) return {};
  EXPECT_EQ(head[1] & 0x80, 0) << "a server's frames are not masked";
  std::size_t size = head[1] & 0x7f;
  if (size >= 126) size = number(size == 126 ? 2 : 8);
  return {head[0] & 0x0f, client_.receive_bytes(size)};
}

Frame WebSocketClient::ask(const nlohmann::json& message) {
  say(message);
  return receive();
}

bool WebSocketClient::closes() {
  send(frame_bytes(kCloseFrame, "\x03\xe8"));
  return client_.ended();
}

}  // namespace qwen3guard::server::test
