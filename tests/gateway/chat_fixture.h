// Requests for chat completions, and upstreams that answer them.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "guard_fixture.h"
#include "scripted_upstream.h"

namespace qwen3guard::gateway::test {

inline const std::string kPath = "/v1/chat/completions";

inline nlohmann::json request(bool streams = true,
                              const std::string& prompt = "How do I whittle a spoon?") {
  return {
      {"model", "m"}, {"stream", streams}, {"messages", {{{"role", "user"}, {"content", prompt}}}}};
}

inline std::string completion(const std::string& text) {
  const nlohmann::json body = {{"id", "chatcmpl-1"},
                               {"object", "chat.completion"},
                               {"choices",
                                {{{"index", 0},
                                  {"message", {{"role", "assistant"}, {"content", text}}},
                                  {"finish_reason", "stop"}}}}};
  return body.dump();
}

// Streams `text` word by word, to its end.
inline ScriptedUpstream::Script streaming(const std::string& text) {
  return [text](ScriptedUpstream::Peer& peer) {
    peer.read_request();
    peer.send_stream_head();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find(' ', at), text.size() - 1) + 1;
      if (!peer.send_chunk(event({{"content", text.substr(at, end - at)}}))) return;
      at = end;
    }
    peer.send_chunk(event(nlohmann::json::object(), "stop"));
    peer.send_chunk(sse_event("[DONE]"));
    peer.end_stream();
  };
}

}  // namespace qwen3guard::gateway::test
