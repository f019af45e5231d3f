// What the program's exit status says; persisted interface, see docs/cli.md.
#pragma once

#include "qwen3guard/result.h"

namespace qwen3guard::apps {

enum ExitStatus : int {
  kExitDone = 0,  // everything was judged (inspect: healthy)
  kExitSomeFailed =
      1,  // some lines, or the response, could not be judged (inspect: problems found)
  kExitCouldNotRun =
      2,  // wrong usage, no model, unreadable input, an output that cannot be written
};

/// Prints "error: <message> [<code>]" to standard error, control characters escaped.
void print_error(const Error& error);
/// The same, and kExitCouldNotRun for `return fail(error);`.
int fail(const Error& error);

}  // namespace qwen3guard::apps
