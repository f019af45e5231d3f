// Requests and responses as handlers see them; nothing here knows how they travel.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/verdict.h"

namespace qwen3guard::server {

struct Header {
  std::string name;
  std::string value;
};

struct Request {
  std::string method;
  std::string path;  // without the query
  std::vector<Header> headers;
  std::string body;

  // Added on the way to a handler.
  std::string id;         // answers and logs carry it
  std::string client;     // name of the API key that asked; empty without keys
  std::string parameter;  // what stood in the place of {id}

  /// Value of the first header of this name, in any case of letters; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<Header> headers{};
  /// The strictest decision in the answer, for the log.
  std::optional<Decision> decision{};
};

/// Takes the answer to one request; called once, from any thread.
using Respond = std::function<void(Response)>;

}  // namespace qwen3guard::server
