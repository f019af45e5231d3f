// Requests and responses as handlers see them; nothing here knows how they travel.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/verdict.h"
#include "server/body_stream.h"
#include "server/web_socket.h"

namespace qwen3guard::server {

struct Header {
  std::string name;
  std::string value;
};

/// Value of the first header of this name, in any case of letters; empty if there is none.
std::string_view find_header(const std::vector<Header>& headers, std::string_view name);
/// Whether two names of headers are the same.
bool same_name(std::string_view a, std::string_view b);

struct Request {
  std::string method;
  std::string path;    // without the query
  std::string target;  // as received
  std::vector<Header> headers;
  std::string body;

  // Added on the way to a handler.
  std::string id;                        // answers and logs carry it
  std::string client;                    // name of the API key that asked; empty without keys
  std::string parameter;                 // what stood in the place of {id}
  std::shared_ptr<Departure> departure;  // none where nobody can leave

  std::string_view header(std::string_view name) const { return find_header(headers, name); }
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";  // empty: none
  std::vector<Header> headers{};
  /// The strictest decision in the answer, for the log.
  std::optional<Decision> decision{};
  /// Where set, the body comes from here, after `body`.
  std::shared_ptr<BodyStream> stream{};
  /// With status 101: who talks over the connection from here on.
  std::shared_ptr<WebSocket> web_socket{};
};

/// Takes the answer to one request; called once, from any thread.
using Respond = std::function<void(Response)>;

}  // namespace qwen3guard::server
