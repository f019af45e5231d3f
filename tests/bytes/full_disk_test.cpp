// A disk that fills up while we write. Each case runs in a child process, because limits and mounts
// are the process's own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "bytes/atomic_file.h"
#include "bytes/gguf.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::read_raw;
using testing::ScratchDirectory;
using testing::write_raw;

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kCannotTest = 77;

int exit_code_of_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

/// Writes more than fits to directory/file, which holds "old". Says what is not as it should be.
int write_too_much(const std::filesystem::path& directory, std::string_view reason) {
  const auto complain = [](const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    return kFailed;
  };
  const std::vector<float> values(1 << 20, 1.0f);
  const TensorToWrite tensor{"w", DType::kF32, {1 << 20}, testing::as_bytes(values)};
  const auto text = testing::as_bytes(values);
  const GgufTensorToWrite gguf{
      "w", GgmlType::kF32, {1 << 20}, [&](const GgufSink& sink) { return sink(text); }};
  const Status statuses[] = {
      write_safetensors(directory / "file", {&tensor, 1}, {}),
      write_gguf(directory / "file", {}, {&gguf, 1}),
      write_file_atomically(directory / "file",
                            {reinterpret_cast<const char*>(text.data()), text.size()})};
  for (const Status& status : statuses) {
    if (status.ok()) return complain("the write succeeded");
    if (status.error().code != ErrorCode::kIo)
      return complain("another code: " + status.error().message);
    for (const std::string_view part : {reason, std::string_view("file'")}) {
      if (status.error().message.find(part) == std::string::npos)
        return complain(status.error().message);
    }
  }
  if (read_raw(directory / "file") != "old") return complain("the old file changed");
  const auto begin = std::filesystem::directory_iterator(directory);
  if (std::distance(begin, std::filesystem::directory_iterator()) != 1)
    return complain("a left-over file");
  return kPassed;
}

TEST(FullDisk, OldFileStaysAndNothingIsLeftBehind) {
  ScratchDirectory scratch;
  const int code = exit_code_of_child([&] {
    // A file system of 64 kB that only this child sees.
    const int user = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
    if (::unshare(CLONE_NEWNS | user) != 0) return kCannotTest;
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kCannotTest;
    if (::mount("tmpfs", scratch.path().c_str(), "tmpfs", 0, "size=64k") != 0) return kCannotTest;
    write_raw(scratch / "file", "old");
    return write_too_much(scratch.path(), "No space left on device; free some space");
  });
  if (code == kCannotTest) GTEST_SKIP() << "this system lets us mount no file system of our own";
  EXPECT_EQ(code, kPassed);
}

TEST(FullDisk, AFileSizeLimitIsAnErrorToo) {
  ScratchDirectory scratch;
  write_raw(scratch / "file", "old");
  EXPECT_EQ(exit_code_of_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);  // else the limit kills the process
              const rlimit limit{64 << 10, 64 << 10};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return kCannotTest;
              return write_too_much(scratch.path(), "File too large");
            }),
            kPassed);
}

}  // namespace
}  // namespace qwen3guard::bytes
