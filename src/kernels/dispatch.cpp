#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {
namespace {

const Kernels& choose() {
  const auto tables = available_kernels();
  const char* forced = std::getenv("QWEN3GUARD_ISA");
  if (forced == nullptr || *forced == '\0') return *tables.back();
  std::string names;
  for (const Kernels* table : tables) {
    if (table->name == std::string_view(forced)) return *table;
    names += std::string(names.empty() ? "" : ", ") + table->name;
  }
  std::fprintf(stderr,
               "QWEN3GUARD_ISA=%s: unknown, or not available on this CPU; expected one of %s, or "
               "unset it to choose automatically\n",
               forced, names.c_str());
  std::exit(2);
}

}  // namespace

std::span<const Kernels* const> available_kernels() {
  static const std::vector<const Kernels*> tables = [] {
    std::vector<const Kernels*> all = {&scalar_kernels()};
#if defined(__x86_64__)
    all.insert(all.end(), {avx2_kernels(), avx512_kernels(), avx512vnni_kernels(), amx_kernels()});
#elif defined(__aarch64__)
    all.push_back(neon_kernels());
#endif
    std::erase(all, nullptr);
    return all;
  }();
  return tables;
}

const Kernels& active_kernels() {
  static const Kernels& table = choose();
  return table;
}

}  // namespace qwen3guard::kernels
