// How answers are guarded, streamed or not.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "gateway/response_filter.h"
#include "gateway/roll_back.h"

namespace qwen3guard::gateway {

enum class OnFlag {
  kStop,      // the answer ends with finish_reason "content_filter"
  kReplace,   // the same after a text of the operator's
  kRollBack,  // what was not sent yet is written anew
};

enum class Annotations {
  kNone,
  kAzure,  // content_filter_results and prompt_filter_results, as Azure OpenAI writes them
};

struct AnswerOptions {
  FilterOptions filter;
  OnFlag on_flag = OnFlag::kStop;
  std::string replacement;
  RollBackOptions roll_back;
  Annotations annotations = Annotations::kNone;
  /// What cannot be judged passes, and is counted, instead of ending the answer.
  bool fail_open = false;
  /// Other modes send what could not be taken back, or wait for the end of a block.
  bool rolls_back() const {
    return on_flag == OnFlag::kRollBack && filter.mode == ResponseMode::kHold;
  }
  /// Whether the operator's text ends an answer that is flagged for good.
  bool replaces() const {
    return on_flag == OnFlag::kReplace || (on_flag == OnFlag::kRollBack && roll_back.then_replace);
  }
  /// Who only watches must not be in the way.
  bool fails_open() const { return fail_open || filter.mode == ResponseMode::kAudit; }
  std::size_t event_bytes = 1u << 20;       // of one event of a stream
  std::size_t held_event_bytes = 8u << 20;  // of all events whose text waits for a verdict
};

/// A verdict as answers carry it.
using VerdictJson = std::function<nlohmann::ordered_json(const Verdict&)>;

}  // namespace qwen3guard::gateway
