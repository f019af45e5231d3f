#include "apps/exit_status.h"

#include <cstdio>
#include <string>

#include "apps/terminal.h"

namespace qwen3guard::apps {

void print_error(const Error& error) {
  const std::string line = "error: " + escape_controls(error.message) + " [" +
                           std::string(error_code_name(error.code)) + "]\n";
  std::fputs(line.c_str(), stderr);
}

int fail(const Error& error) {
  print_error(error);
  return kExitCouldNotRun;
}

}  // namespace qwen3guard::apps
