// Which requests are guarded how: the rules of docs/formats/policy.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/answer_options.h"
#include "qwen3guard/policy.h"
#include "server/http.h"

namespace qwen3guard::gateway {

/// What rules ask of a request.
struct RuleSubject {
  std::string_view route;   // the path, canonical
  std::string_view model;   // that the body names
  std::string_view client;  // name of the API key
  const std::vector<server::Header>& headers;
};

struct Rule {
  // Patterns, in which * stands for any text; letters in either case. None: whatever it is.
  std::optional<std::string> route;
  std::optional<std::string> model;
  std::optional<std::string> client;
  std::vector<std::pair<std::string, std::string>> headers;  // name, pattern of some value

  Policy policy;
  // In place of the gateway's own.
  std::optional<ResponseMode> mode;
  std::optional<OnFlag> on_flag;
  std::optional<std::string> replacement;

  bool matches(const RuleSubject& subject) const;
  AnswerOptions applied_to(AnswerOptions options) const;
};

/// Immutable once made.
class Rules {
 public:
  /// Errors: kInvalidJson, kInvalidArgument (names what is unknown or wrong, and in which rule).
  static Result<Rules> parse(std::string_view text);
  static Result<Rules> load(const std::string& path);

  /// The first that matches; null without one.
  const Rule* find(const RuleSubject& subject) const;

 private:
  std::vector<Rule> rules_;
};

/// Whether `text` is what `pattern` says, * standing for any text and letters in either case.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace qwen3guard::gateway
