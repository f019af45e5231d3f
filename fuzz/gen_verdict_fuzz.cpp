// Generated text: either exactly a verdict, or an error; never Safe by accident.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "verdict/gen_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qwen3guard;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Target target : {Target::kPrompt, Target::kResponse}) {
    const auto answer = verdict::parse_gen_answer(text, target);
    if (!answer.ok()) continue;
    if (answer->risk == Risk::kSafe && !text.starts_with("Safety: Safe")) std::abort();
    if (answer->refusal.has_value() != (target == Target::kResponse)) std::abort();
  }
  return 0;
}
