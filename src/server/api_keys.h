// Who may ask.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"
#include "server/http.h"

namespace qwen3guard::server {

/// Keys, one for each client. Without keys everybody may ask.
class ApiKeys {
 public:
  ApiKeys() = default;
  /// One key a line, or "NAME KEY" to name it in logs (else key-1, key-2 …); empty lines and lines
  /// with # in front are skipped. Errors: those of reading; kInvalidArgument for a key that is too
  /// short, appears twice or could not stand in a header, and for a file without any.
  static Result<ApiKeys> load(const std::filesystem::path& path);
  static Result<ApiKeys> parse(std::string_view text);

  /// The name of the client whose key is in "Authorization: Bearer KEY" or "x-api-key: KEY", empty
  /// where there are no keys; nothing when a key is needed and none fits. Takes the same time for
  /// every wrong key of a length.
  std::optional<std::string> client(const Request& request) const;

 private:
  struct Key {
    std::string name;
    std::string secret;
  };
  std::vector<Key> keys_;
};

}  // namespace qwen3guard::server
