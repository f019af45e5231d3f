#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "kernels/kernels.h"

namespace qwen3guard::kernels {
namespace {

const Kernels& choose() {
  const char* forced = std::getenv("QWEN3GUARD_ISA");
  if (forced == nullptr || *forced == '\0') {
    if (const Kernels* table = avx512vnni_kernels()) return *table;
    if (const Kernels* table = avx512_kernels()) return *table;
    if (const Kernels* table = avx2_kernels()) return *table;
    return scalar_kernels();
  }
  const std::string_view name = forced;
  const Kernels* table = name == "scalar"       ? &scalar_kernels()
                         : name == "avx2"       ? avx2_kernels()
                         : name == "avx512"     ? avx512_kernels()
                         : name == "avx512vnni" ? avx512vnni_kernels()
                                                : nullptr;
  if (table == nullptr) {
    std::fprintf(stderr,
                 "QWEN3GUARD_ISA=%s: unknown, or not available on this CPU; expected scalar, avx2, "
                 "avx512 or avx512vnni, or unset it to choose automatically\n",
                 forced);
    std::exit(2);
  }
  return *table;
}

}  // namespace

const Kernels& active_kernels() {
  static const Kernels& table = choose();
  return table;
}

}  // namespace qwen3guard::kernels
