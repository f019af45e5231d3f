#include "program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace qwen3guard::apps::test {
namespace {

const std::string kProgram = QG_BUILD_DIR "/qwen3guard";

void set_environment(const Environment& environment) {
  for (const auto& [name, value] : environment) {
    if (value.empty()) {
      ::unsetenv(name.c_str());
    } else {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
  }
}

[[noreturn]] void execute(const std::string& program, const Arguments& arguments) {
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  std::perror(program.c_str());
  ::_exit(127);
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 65536> chunk;
  // A terminal whose program has ended gives EIO: the end as well.
  for (ssize_t got; (got = ::read(descriptor, chunk.data(), chunk.size())) > 0;) {
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  ::close(descriptor);
  return text;
}

void write_all(int descriptor, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t got = ::write(descriptor, text.data() + written, text.size() - written);
    if (got <= 0) break;  // the program did not want it all
    written += static_cast<std::size_t>(got);
  }
  ::close(descriptor);
}

struct Pipe {
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
  }
  int read_end() const { return ends[0]; }
  int write_end() const { return ends[1]; }
  std::array<int, 2> ends{};
};

Outcome run_program(const std::string& program, const Arguments& arguments,
                    const std::string& input, const Environment& environment, bool terminal) {
  Pipe in, out, err;
  int master = -1, slave = -1;
  if (terminal) {
    winsize size{24, 1000, 0, 0};
    if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0) std::abort();
    ::fcntl(master, F_SETFD, FD_CLOEXEC);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    set_environment(environment);
    ::dup2(in.read_end(), STDIN_FILENO);
    ::dup2(terminal ? slave : out.write_end(), STDOUT_FILENO);
    ::dup2(err.write_end(), STDERR_FILENO);
    execute(program, arguments);
  }
  ::close(in.read_end());
  ::close(out.write_end());
  ::close(err.write_end());
  if (terminal) ::close(slave);
  Outcome result;
  std::thread feeder([&] { write_all(in.write_end(), input); });
  std::thread errors([&] { result.err = read_all(err.read_end()); });
  result.out = read_all(terminal ? master : out.read_end());
  if (terminal) ::close(out.read_end());
  feeder.join();
  errors.join();
  result.status = wait_for(child);
  return result;
}

}  // namespace

std::vector<std::string> Outcome::lines() const {
  std::vector<std::string> result;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

std::vector<nlohmann::json> Outcome::json() const {
  std::vector<nlohmann::json> result;
  for (const std::string& line : lines()) {
    result.push_back(nlohmann::json::parse(line, nullptr, false));
    EXPECT_FALSE(result.back().is_discarded()) << line;
  }
  return result;
}

Outcome run(const Arguments& arguments, const std::string& input, const Environment& environment) {
  std::signal(SIGPIPE, SIG_IGN);
  return run_program(kProgram, arguments, input, environment, false);
}

Outcome run_on_terminal(const Arguments& arguments, const std::string& input,
                        const Environment& environment) {
  std::signal(SIGPIPE, SIG_IGN);
  return run_program(kProgram, arguments, input, environment, true);
}

Outcome shell(const std::string& command, const Environment& environment) {
  Environment with_program = environment;
  with_program["QG"] = kProgram;
  return run_program("/bin/sh", {"-c", command}, "", with_program, false);
}

pid_t start(const Arguments& arguments) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
      ::dup2(null, descriptor);
    execute(kProgram, arguments);
  }
  return child;
}

int wait_for(pid_t process) {
  int status = 0;
  ::waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "qwen3guard-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string conversation_line(const nlohmann::json& id, const std::vector<std::string>& turns) {
  nlohmann::json line = {{"messages", nlohmann::json::array()}};
  if (!id.is_null()) line["id"] = id;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    line["messages"].push_back(
        {{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", turns[i]}});
  }
  return line.dump() + "\n";
}

}  // namespace qwen3guard::apps::test
