// Runs the real program, as a user does.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qwen3guard::apps::test {

struct Outcome {
  int status = -1;  // exit status; 128 + signal where it was killed
  std::string out;
  std::string err;

  std::vector<std::string> lines() const;
  /// Each line of standard output, parsed; a line that is not JSON fails the test.
  std::vector<nlohmann::json> json() const;
};

using Arguments = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;  // added to ours; "" removes the name

/// `qwen3guard ARGUMENTS`, standard input `input`.
Outcome run(const Arguments& arguments, const std::string& input = "",
            const Environment& environment = {});
/// The same with standard output on a terminal; `out` has what it would show.
Outcome run_on_terminal(const Arguments& arguments, const std::string& input,
                        const Environment& environment = {});
/// The same through a shell, for redirections: `$QG` is the program.
Outcome shell(const std::string& command, const Environment& environment = {});

/// Starts the program without waiting, standard output and error discarded.
pid_t start(const Arguments& arguments);
/// Waits; exit status as in Outcome.
int wait_for(pid_t process);

/// A directory that is removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);

/// {"messages": …} of alternating user and assistant turns, as a line with its newline.
std::string conversation_line(const nlohmann::json& id, const std::vector<std::string>& turns);

}  // namespace qwen3guard::apps::test
