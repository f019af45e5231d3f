#include "dataset/labelled_reader.h"

#include <zlib.h>

#include <array>
#include <string>
#include <system_error>

#include "base/try.h"

namespace qwen3guard::dataset {
namespace {

constexpr std::size_t kMaxLine = 16u << 20;

}  // namespace

struct LabelledReader::State {
  struct GzClose {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };

  std::filesystem::path path;
  std::unique_ptr<gzFile_s, GzClose> file;
  std::array<char, 1 << 16> buffer{};
  std::size_t at = 0;
  std::size_t filled = 0;
  bool ended = false;
  std::size_t line = 0;
  std::size_t rows = 0;

  Error error(ErrorCode code, std::string_view what) const {
    return {code, path.string() + ":" + std::to_string(line) + ": " + std::string(what)};
  }

  Status fill() {
    const int got = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    int code = Z_OK;
    const char* message = gzerror(file.get(), &code);
    // A file cut inside its compressed stream reads as a short file: zlib says so only here.
    if (got < 0 || code == Z_BUF_ERROR) {
      return error(ErrorCode::kCorruptFile, std::string("cannot decompress: ") + message);
    }
    at = 0;
    filled = static_cast<std::size_t>(got);
    ended = got == 0;
    return {};
  }

  /// The next line without its newline, or none at the end.
  Result<std::optional<std::string>> next_line() {
    std::string text;
    ++line;
    while (true) {
      if (at == filled) {
        QG_CHECK_OK(fill());
        if (ended) {
          if (text.empty()) return std::optional<std::string>();
          return std::optional<std::string>(std::move(text));
        }
      }
      const std::string_view rest(buffer.data() + at, filled - at);
      const auto newline = rest.find('\n');
      text.append(rest.substr(0, newline));
      if (text.size() > kMaxLine) return error(ErrorCode::kTooLong, "a line of more than 16 MB");
      if (newline == std::string_view::npos) {
        at = filled;
      } else {
        at += newline + 1;
        return std::optional<std::string>(std::move(text));
      }
    }
  }
};

LabelledReader::LabelledReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LabelledReader::LabelledReader(LabelledReader&&) noexcept = default;
LabelledReader& LabelledReader::operator=(LabelledReader&&) noexcept = default;
LabelledReader::~LabelledReader() = default;

Result<LabelledReader> LabelledReader::open(const std::filesystem::path& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) {
    return Error{ErrorCode::kNotFound, path.string() + ": no such file"};
  }
  auto state = std::make_unique<State>();
  state->path = path;
  state->file.reset(gzopen(path.c_str(), "rb"));
  if (!state->file) return Error{ErrorCode::kIo, path.string() + ": cannot be opened for reading"};
  return LabelledReader(std::move(state));
}

Result<std::optional<LabelledConversation>> LabelledReader::next() {
  QG_TRY(const std::optional<std::string> line, state_->next_line());
  if (!line) return std::optional<LabelledConversation>();
  if (line->empty()) return state_->error(ErrorCode::kCorruptFile, "an empty line");
  auto row = parse_labelled_conversation(*line);
  if (!row.ok()) {
    return std::move(row).error().with_context(state_->path.string() + ":" +
                                               std::to_string(state_->line));
  }
  ++state_->rows;
  return std::optional<LabelledConversation>(std::move(row).value());
}

std::size_t LabelledReader::rows() const { return state_->rows; }

Result<std::size_t> for_each_row(const std::filesystem::path& path,
                                 const std::function<Status(LabelledConversation)>& visit) {
  QG_TRY(LabelledReader reader, LabelledReader::open(path));
  while (true) {
    QG_TRY(std::optional<LabelledConversation> row, reader.next());
    if (!row) return reader.rows();
    QG_CHECK_OK(visit(std::move(*row)));
  }
}

}  // namespace qwen3guard::dataset
