#include "bytes/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "bytes/atomic_file.h"
#include "bytes/json_scan.h"

namespace qwen3guard::bytes {

std::string json_position(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return "line " + std::to_string(lines + 1) + ", column " +
         std::to_string(offset - line_start + 1);
}

bool JsonHandler::fail(ErrorCode code, const std::string& what) {
  const auto reached = static_cast<std::size_t>(read_ - text_.data());
  // The parser reads one byte past what it reports.
  const std::string where = json_position(text_, reached == 0 ? 0 : reached - 1);
  if (!error_) error_ = Error{code, where + ": " + what};
  return false;
}

bool JsonHandler::parse_error(std::size_t, const std::string&,
                              const nlohmann::json::exception& error) {
  std::string_view what = error.what();
  // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while … -
  // reason; last read: '…'": ours to say are the position and the token.
  if (const auto at = what.find("] "); at != what.npos) what.remove_prefix(at + 2);
  if (const auto at = what.find("; last read: "); at != what.npos) what = what.substr(0, at);
  if (what.starts_with("parse error at ")) {
    if (const auto at = what.find(": "); at != what.npos) what.remove_prefix(at + 2);
  }
  if (what.size() > 300) what = "not valid JSON";
  return fail(ErrorCode::kInvalidJson, std::string(what));
}

bool JsonHandler::count_value() {
  if (++values_ <= limits_.max_values) return true;
  return fail(ErrorCode::kTooLong,
              "more than " + std::to_string(limits_.max_values) + " JSON values in one text");
}

bool JsonHandler::enter() {
  if (++depth_ <= limits_.max_depth) return true;
  return fail(ErrorCode::kInvalidJson,
              "nested deeper than " + std::to_string(limits_.max_depth) + " levels");
}

namespace {

/// Builds the value, refusing what nlohmann's own builder accepts: duplicate keys and unlimited
/// depth.
class Builder : public JsonHandler {
 public:
  using JsonHandler::JsonHandler;

  static Result<nlohmann::json> build(std::string_view text, const JsonLimits& limits) {
    Builder builder(text, limits);
    if (auto error = run(builder)) return std::move(*error);
    return std::move(builder.root_);
  }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(number_integer_t value) { return add(value); }
  bool number_unsigned(number_unsigned_t value) { return add(value); }
  bool number_float(number_float_t value, const string_t&) { return add(value); }
  bool string(string_t& value) { return add(std::move(value)); }
  bool binary(binary_t&) { return fail(ErrorCode::kInvalidJson, "binary value"); }

  bool start_object(std::size_t) { return open(nlohmann::json::object()); }
  bool start_array(std::size_t) { return open(nlohmann::json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(string_t& name) {
    // Pointers into a std::map stay valid while it grows.
    auto& object = open_.back()->get_ref<nlohmann::json::object_t&>();
    const auto [entry, inserted] = object.emplace(std::move(name), nullptr);
    if (!inserted) {
      // emplace may or may not have taken the name; the entry has it for certain.
      return fail(ErrorCode::kInvalidJson,
                  "key " + quote(entry->first) + " appears twice in the same object");
    }
    slot_ = &entry->second;
    return true;
  }

 private:
  template <typename Value>
  bool add(Value&& value) {
    return count_value() && (place(std::forward<Value>(value)), true);
  }

  nlohmann::json* place(nlohmann::json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      // Only the last element is ever open, and nothing is pushed behind it until it is closed:
      // growth of the vector cannot leave a dangling pointer in open_.
      auto& array = open_.back()->get_ref<nlohmann::json::array_t&>();
      array.push_back(std::move(value));
      return &array.back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  bool open(nlohmann::json container) {
    if (!count_value() || !enter()) return false;
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    leave();
    return true;
  }

  nlohmann::json root_;
  std::vector<nlohmann::json*> open_;
  nlohmann::json* slot_ = nullptr;  // where the value of the last key goes
};

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits& limits) {
  return Builder::build(text, limits);
}

Result<nlohmann::json> read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  QG_TRY(const std::string text, read_file(path, limits.max_bytes));
  auto value = parse_json(text, limits);
  if (!value.ok()) return std::move(value).error().with_context(quote_path(path));
  return value;
}

}  // namespace qwen3guard::bytes
