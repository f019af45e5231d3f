// Reading a request's JSON: every value knows where it stands, so that errors say where, what was
// expected and what was found.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3guard/result.h"

namespace qwen3guard::server {

/// A value inside a parsed body, or the place of one that is missing; null counts as missing. Lives
/// as long as the body.
class JsonField {
 public:
  /// The body itself.
  explicit JsonField(const nlohmann::json& body) : value_(&body), path_("the body") {}

  bool missing() const { return value_ == nullptr || value_->is_null(); }
  const nlohmann::json* operator->() const { return value_; }
  /// A member; missing if this is no object or has none of this name.
  JsonField operator[](const char* key) const;

  /// The value, or kInvalidArgument when it is missing or of another type.
  Result<std::string> text() const;
  Result<std::vector<JsonField>> items() const;
  Status expect_object() const;
  /// The value, or `otherwise` when it is missing; kInvalidArgument when it is of another type.
  Result<bool> boolean_or(bool otherwise) const;
  Result<std::string> text_or(std::string otherwise) const;

  Error expected(std::string_view what) const;
  Error invalid(std::string_view message) const;

 private:
  JsonField(const nlohmann::json* value, std::string path)
      : value_(value), path_(std::move(path)) {}

  const nlohmann::json* value_;
  std::string path_;  // "messages[2].content"
};

/// Parses a body strictly: UTF-8, no duplicate keys, bounded depth and number of values, nothing
/// after it, an object outside.
Result<nlohmann::json> parse_body(std::string_view body);

}  // namespace qwen3guard::server
