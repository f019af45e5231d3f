#include "gateway_load/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace qwen3guard::bench {
namespace {

struct Child {
  pid_t process;
  int output;  // its standard output
};

std::optional<Child> spawn(const std::vector<std::string>& command, const std::string& errors) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);  // our sockets are not its own
  pid_t process = -1;
  const int failed =
      ::posix_spawn(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (failed == 0) return Child{process, ends[0]};
  ::close(ends[0]);
  return std::nullopt;
}

// Up to the line's end, or that of the output.
std::string read_line(int file) {
  std::string line;
  for (char c; ::read(file, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

}  // namespace

Result<Usage> usage_of(pid_t process) {
  const std::filesystem::path folder = "/proc/" + std::to_string(process);
  Usage usage;
  std::ifstream status(folder / "status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    std::uint64_t value = 0;
    words >> key >> value;
    if (key == "VmRSS:") usage.resident_bytes = value * 1024;
    if (key == "VmHWM:") usage.peak_bytes = value * 1024;
    if (key == "Threads:") usage.threads = value;
  }
  std::ifstream stat(folder / "stat");
  std::string line;
  std::getline(stat, line);
  // After the name, which may hold anything: state, ten numbers, and the ticks in user and kernel.
  std::istringstream words(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) words >> skipped;
  double user = 0, system = 0;
  words >> user >> system;
  usage.cpu_seconds = (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::error_code error;
  for (std::filesystem::directory_iterator file(folder / "fd", error), end; !error && file != end;
       file.increment(error)) {
    ++usage.open_files;
  }
  if (usage.resident_bytes == 0) {
    return Error{ErrorCode::kNotFound, "process " + std::to_string(process) +
                                           " has ended; the file of --log may say why"};
  }
  return usage;
}

std::size_t raise_file_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(limit.rlim_cur);
}

Result<Gateway> Gateway::start(const std::vector<std::string>& command, const std::string& log) {
  const auto child = spawn(command, log);
  if (!child) {
    return Error{ErrorCode::kNotFound, command[0] + " cannot be run; --program says which is"};
  }
  const std::string line = read_line(child->output);
  ::close(child->output);
  constexpr std::string_view kListening = "listening on port ";
  const int port = line.starts_with(kListening) ? std::atoi(line.c_str() + kListening.size()) : 0;
  Gateway gateway(child->process, static_cast<std::uint16_t>(port));
  if (port == 0) {
    return Error{ErrorCode::kIo, "the gateway did not say where it listens, but '" + line +
                                     "'; the file of --log may say why"};
  }
  return gateway;
}

Gateway::~Gateway() {
  if (process_ < 0) return;
  ::kill(process_, SIGTERM);
  ::kill(process_, SIGINT);  // the second signal: nothing under way is waited for
  ::waitpid(process_, nullptr, 0);
}

std::string first_line_of(const std::vector<std::string>& command) {
  const auto child = spawn(command, "/dev/null");
  if (!child) return "";
  std::string line = read_line(child->output);
  ::close(child->output);
  ::waitpid(child->process, nullptr, 0);
  return line;
}

}  // namespace qwen3guard::bench
