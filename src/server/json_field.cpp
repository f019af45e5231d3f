#include "server/json_field.h"

#include "base/try.h"
#include "bytes/json.h"

namespace qwen3guard::server {

using nlohmann::json;

JsonField JsonField::operator[](const char* key) const {
  const bool outermost = path_ == "the body";
  std::string path = outermost ? std::string(key) : path_ + "." + key;
  if (value_ == nullptr || !value_->is_object()) return {nullptr, std::move(path)};
  const auto member = value_->find(key);
  return {member == value_->end() ? nullptr : &*member, std::move(path)};
}

Result<std::string> JsonField::text() const {
  if (missing() || !value_->is_string()) return expected("a string");
  return value_->get<std::string>();
}

Result<std::vector<JsonField>> JsonField::items() const {
  if (missing() || !value_->is_array()) return expected("a list");
  std::vector<JsonField> fields;
  fields.reserve(value_->size());
  for (const json& item : *value_) {
    fields.push_back({&item, path_ + "[" + std::to_string(fields.size()) + "]"});
  }
  return fields;
}

Status JsonField::expect_object() const {
  if (missing() || !value_->is_object()) return expected("an object");
  return {};
}

Result<bool> JsonField::boolean_or(bool otherwise) const {
  if (missing()) return otherwise;
  if (!value_->is_boolean()) return expected("true or false");
  return value_->get<bool>();
}

Result<std::string> JsonField::text_or(std::string otherwise) const {
  if (missing()) return otherwise;
  return text();
}

Error JsonField::expected(std::string_view what) const {
  const char* found = value_ == nullptr ? "nothing" : value_->type_name();
  return invalid("expected " + std::string(what) + ", found " + found);
}

Error JsonField::invalid(std::string_view message) const {
  return {ErrorCode::kInvalidArgument, path_ + ": " + std::string(message)};
}

Result<json> parse_body(std::string_view body) {
  // What the server takes is flat; the size of the body is limited while it is read.
  auto parsed = bytes::parse_json(body, {.max_depth = 32, .max_values = 1u << 18});
  if (!parsed.ok()) return std::move(parsed).error().with_context("the body");
  QG_CHECK_OK(JsonField(*parsed).expect_object());
  return parsed;
}

}  // namespace qwen3guard::server
