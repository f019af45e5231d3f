// An output file that a killed run can leave unfinished, and a later run continues.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "apps/output.h"
#include "qwen3guard/result.h"

namespace qwen3guard::apps {

enum class ExistingFile { kRefuse, kOverwrite, kResume };

/// Called with each complete line found in the file, in order, parsed; an Error stops the
/// resumption.
using AcceptLine = std::function<Status(const nlohmann::json& line)>;

/// Opens `path` for writing and locks it against a second writer. What it holds already is refused,
/// overwritten, or, to resume, read line by line: a last line without its newline was torn and is
/// cut off, and writing goes on behind the complete ones. Devices and pipes are just opened. The
/// file is untouched when anything fails. Errors: kInvalidArgument (it exists; it is being
/// written), kIo, kNotFound, kCorruptFile (a complete line that is not JSON), and those of
/// `accept`, naming the line.
Result<Output> open_output(const std::string& path, ExistingFile existing,
                           const AcceptLine& accept);

/// Whether both paths name one file. False where either does not exist.
bool same_file(const std::string& a, const std::string& b);

}  // namespace qwen3guard::apps
