#include "apps/resumable_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "apps/line_reader.h"
#include "base/try.h"
#include "bytes/json.h"
#include "bytes/quote.h"

namespace qwen3guard::apps {
namespace {

Error file_error(const std::string& what, int number) {
  const bool missing = number == ENOENT || number == ENOTDIR;
  return {missing ? ErrorCode::kNotFound : ErrorCode::kIo,
          what + ": " + std::generic_category().message(number)};
}

// Length of the complete lines, all accepted.
Result<off_t> accept_lines(int descriptor, const std::string& name, const AcceptLine& accept) {
  LineReader reader(descriptor, name);
  off_t accepted = 0;
  for (std::uint64_t number = 1;; ++number) {
    QG_TRY(const std::optional<Line> line, reader.next());
    if (!line || !line->complete) return accepted;
    const std::string where = name + ", line " + std::to_string(number);
    auto parsed = bytes::parse_json(line->text);
    if (line->too_long || !parsed.ok()) {
      return Error{
          ErrorCode::kCorruptFile,
          where +
              " is not a line that this program wrote; is this the right file? Start again "
              "with --overwrite, or name another --output"};
    }
    if (Status status = accept(*parsed); !status.ok()) {
      return std::move(status).error().with_context(where);
    }
    accepted += static_cast<off_t>(line->bytes);
  }
}

}  // namespace

Result<Output> open_output(const std::string& path, ExistingFile existing,
                           const AcceptLine& accept) {
  const std::string name = bytes::quote_path(path);
  struct stat status {};
  const bool special = ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
  const int flags = special ? O_WRONLY : O_RDWR | O_CREAT;
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (descriptor < 0) return file_error("cannot write " + name, errno);
  Output output(descriptor, name);
  if (special) return output;

  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Error{ErrorCode::kInvalidArgument,
                 name +
                     " is being written by another run; wait for it, or "
                     "name another --output"};
  }
  if (::fstat(descriptor, &status) != 0) return file_error("cannot read " + name, errno);
  off_t keep = 0;
  if (existing == ExistingFile::kResume) {
    QG_TRY(keep, accept_lines(descriptor, name, accept));
  } else if (existing == ExistingFile::kRefuse && status.st_size > 0) {
    return Error{
        ErrorCode::kInvalidArgument,
        name + " exists already; continue it with --resume, or replace it with --overwrite"};
  }
  if (status.st_size > keep && ::ftruncate(descriptor, keep) != 0) {
    return file_error("cannot cut " + name + " to its complete lines", errno);
  }
  if (::lseek(descriptor, keep, SEEK_SET) < 0) return file_error("cannot write " + name, errno);
  return output;
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code failure;
  return std::filesystem::equivalent(a, b, failure) && !failure;
}

}  // namespace qwen3guard::apps
