#include "apps/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"

namespace qwen3guard::apps {
namespace {

constexpr std::size_t kChunkBytes = 256u << 10;

Error read_error(const std::string& name, int number) {
  const bool missing = number == ENOENT || number == ENOTDIR;
  return {missing ? ErrorCode::kNotFound : ErrorCode::kIo,
          "cannot read " + name + ": " + std::generic_category().message(number)};
}

}  // namespace

Result<LineReader> LineReader::open(const std::string& path, std::size_t max_line_bytes) {
  if (path == "-") return LineReader(STDIN_FILENO, "standard input", max_line_bytes);
  const std::string name = bytes::quote_path(path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return read_error(name, errno);
  LineReader reader(descriptor, name, max_line_bytes);
  reader.owned_ = true;
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return read_error(name, errno);
  if (S_ISDIR(status.st_mode)) return read_error(name, EISDIR);
  return reader;
}

LineReader::LineReader(int descriptor, std::string name, std::size_t max_line_bytes)
    : descriptor_(descriptor), name_(std::move(name)), max_line_bytes_(max_line_bytes) {
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
    total_bytes_ = static_cast<std::uint64_t>(status.st_size);
  }
}

LineReader::LineReader(LineReader&& other) noexcept
    : descriptor_(other.descriptor_),
      owned_(std::exchange(other.owned_, false)),
      name_(std::move(other.name_)),
      max_line_bytes_(other.max_line_bytes_),
      total_bytes_(other.total_bytes_),
      buffer_(std::move(other.buffer_)),
      at_(other.at_) {}

LineReader::~LineReader() {
  if (owned_) ::close(descriptor_);
}

Result<bool> LineReader::fill() {
  buffer_.resize(kChunkBytes);
  at_ = 0;
  while (true) {
    const ssize_t got = ::read(descriptor_, buffer_.data(), buffer_.size());
    if (got < 0 && errno == EINTR) continue;
    buffer_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got < 0) return read_error(name_, errno);
    return got > 0;
  }
}

bool LineReader::ready() const {
  if (buffer_.find('\n', at_) != std::string::npos) return true;
  pollfd input = {descriptor_, POLLIN, 0};
  return ::poll(&input, 1, 0) != 0;
}

Result<std::optional<Line>> LineReader::next() {
  Line line;
  while (true) {
    if (at_ == buffer_.size()) {
      QG_TRY(const bool more, fill());
      if (!more) {
        if (line.bytes == 0) return std::optional<Line>();
        line.complete = false;
        return std::optional<Line>(std::move(line));
      }
    }
    const std::string_view rest = std::string_view(buffer_).substr(at_);
    const std::size_t newline = rest.find('\n');
    const std::string_view part = rest.substr(0, newline);
    if (!line.too_long && part.size() > max_line_bytes_ - line.text.size()) {
      line.too_long = true;
      line.text = std::string();
    }
    if (!line.too_long) line.text += part;
    const bool ended = newline != std::string_view::npos;
    line.bytes += part.size() + (ended ? 1 : 0);
    at_ += part.size() + (ended ? 1 : 0);
    if (ended) return std::optional<Line>(std::move(line));
  }
}

formats::ConversationLine parse_conversation_line(const Line& line) {
  if (line.too_long) {
    return {std::nullopt, Error{ErrorCode::kTooLong,
                                "the line has " + bytes::byte_count(line.bytes) + ", at most " +
                                    bytes::byte_count(LineReader::kMaxLineBytes) + " are read"}};
  }
  return formats::parse_conversation_line(line.text);
}

}  // namespace qwen3guard::apps
