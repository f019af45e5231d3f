// A grammar file: either an error, or rows that are all distinct, labelled and of bounded size.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "bytes/json.h"
#include "dataset/grammar.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qwen3guard;
  const auto root = bytes::parse_json({reinterpret_cast<const char*>(data), size});
  if (!root.ok()) return 0;
  const auto grammar = dataset::Grammar::parse(*root);
  if (!grammar.ok() || grammar->wanted() > 200) return 0;
  std::set<std::string> ids;
  for (const auto& row : grammar->expand(1)) {
    if (!ids.insert(row.id).second || !row.label || row.messages.empty()) std::abort();
    const bool response = row.messages.back().role == Role::kAssistant;
    if (response != (row.target == Target::kResponse)) std::abort();
  }
  return 0;
}
