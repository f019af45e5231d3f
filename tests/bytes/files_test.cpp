#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "bytes/atomic_file.h"
#include "bytes/mapped_file.h"
#include "support.h"

namespace qwen3guard::bytes {
namespace {

using testing::expect_error;
using testing::read_raw;
using testing::ScratchDirectory;
using testing::write_raw;

TEST(MappedFile, ShowsTheBytes) {
  ScratchDirectory scratch;
  write_raw(scratch / "file", "some bytes");
  auto file = MappedFile::open(scratch / "file");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->text(), "some bytes");
  MappedFile moved = std::move(*file);
  EXPECT_EQ(moved.text(), "some bytes");
  auto other = MappedFile::open(scratch / "file");
  moved = std::move(*other);
  EXPECT_EQ(moved.bytes().size(), 10u);
}

TEST(MappedFile, AnEmptyFileIsEmpty) {
  ScratchDirectory scratch;
  write_raw(scratch / "empty", "");
  auto file = MappedFile::open(scratch / "empty");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->text(), "");
}

TEST(MappedFile, OutlivesTheNameOfTheFile) {
  ScratchDirectory scratch;
  write_raw(scratch / "file", "bytes");
  auto file = MappedFile::open(scratch / "file");
  std::filesystem::remove(scratch / "file");
  EXPECT_EQ(file->text(), "bytes");
}

TEST(MappedFile, RefusesWhatIsNoReadableFile) {
  ScratchDirectory scratch;
  expect_error(MappedFile::open(scratch / "none"), ErrorCode::kNotFound, {"none", "No such file"});
  expect_error(MappedFile::open(scratch.path()), ErrorCode::kIo, {"Is a directory"});
  expect_error(MappedFile::open("/dev/null"), ErrorCode::kIo,
               {"/dev/null", "expected a regular file"});
  ASSERT_EQ(::mkfifo((scratch / "pipe").c_str(), 0600), 0);
  expect_error(MappedFile::open(scratch / "pipe"), ErrorCode::kIo, {"expected a regular file"});
  write_raw(scratch / "file", "x");
  expect_error(MappedFile::open(scratch / "file/below"), ErrorCode::kNotFound, {"Not a directory"});
  std::filesystem::create_symlink("loop", scratch / "loop");
  expect_error(MappedFile::open(scratch / "loop"), ErrorCode::kIo, {"loop", "symbolic links"});
}

TEST(MappedFile, ReportsMissingPermission) {
  using std::filesystem::perms;
  ScratchDirectory scratch;
  write_raw(scratch / "secret", "x");
  std::filesystem::permissions(scratch.path(), perms::owner_all | perms::others_exec);
  std::filesystem::permissions(scratch / "secret", perms::none);
  // In a child process, because root may read everything and has to become somebody else first.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    const auto file = MappedFile::open(scratch / "secret");
    const bool refused =
        !file.ok() && file.error().code == ErrorCode::kIo &&
        file.error().message.find("secret': Permission denied; check the permissions") !=
            std::string::npos;
    ::_exit(refused ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ReadFile, ReadsWithinTheLimit) {
  ScratchDirectory scratch;
  const std::string contents(200'000, 'x');
  write_raw(scratch / "file", contents);
  EXPECT_EQ(*read_file(scratch / "file", 200'000), contents);
  expect_error(read_file(scratch / "file", 199'999), ErrorCode::kTooLong,
               {"200,000 bytes", "at most 199,999 bytes"});
  EXPECT_EQ(*read_file(scratch / "file", std::size_t{0} - 1), contents);
}

TEST(ReadFile, ReadsFilesThatHideTheirSize) {
  const auto contents = read_file("/proc/self/status", 1 << 20);
  ASSERT_TRUE(contents.ok()) << contents.error().message;
  EXPECT_NE(contents->find("VmHWM"), std::string::npos);
  expect_error(read_file("/proc/self/status", 10), ErrorCode::kTooLong, {"at most 10 bytes"});
}

TEST(ReadFile, RefusesAHugeSparseFileBeforeReadingIt) {
  ScratchDirectory scratch;
  write_raw(scratch / "huge", "");
  std::filesystem::resize_file(scratch / "huge", 16ull << 30);
  expect_error(read_file(scratch / "huge", 1 << 20), ErrorCode::kTooLong, {"17,179,869,184 bytes"});
}

TEST(AtomicFile, WritesAndReplaces) {
  ScratchDirectory scratch;
  ASSERT_TRUE(write_file_atomically(scratch / "file", "one").ok());
  EXPECT_EQ(read_raw(scratch / "file"), "one");
  ASSERT_TRUE(write_file_atomically(scratch / "file", "two").ok());
  EXPECT_EQ(read_raw(scratch / "file"), "two");
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(AtomicFile, WithoutCommitNothingHappens) {
  ScratchDirectory scratch;
  write_raw(scratch / "file", "old");
  {
    auto file = AtomicFile::create(scratch / "file");
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_TRUE(file->write("new").ok());
    EXPECT_EQ(read_raw(scratch / "file"), "old");
    EXPECT_EQ(scratch.entries(), 2u);
  }
  EXPECT_EQ(read_raw(scratch / "file"), "old");
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(AtomicFile, KeepsPermissionsOfTheReplacedFile) {
  ScratchDirectory scratch;
  using std::filesystem::perms;
  write_raw(scratch / "file", "old");
  std::filesystem::permissions(scratch / "file", perms::owner_read | perms::owner_write);
  ASSERT_TRUE(write_file_atomically(scratch / "file", "new").ok());
  EXPECT_EQ(std::filesystem::status(scratch / "file").permissions(),
            perms::owner_read | perms::owner_write);
}

TEST(AtomicFile, ConcurrentWritersLeaveOneWholeFile) {
  ScratchDirectory scratch;
  std::vector<std::thread> writers;
  for (char c = 'a'; c < 'e'; ++c) {
    writers.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(write_file_atomically(scratch / "file", std::string(10'000, c)).ok());
      }
    });
  }
  for (auto& writer : writers) writer.join();
  const std::string contents = read_raw(scratch / "file");
  EXPECT_EQ(contents, std::string(10'000, contents.at(0)));
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(AtomicFile, ReportsWhereItCannotWrite) {
  ScratchDirectory scratch;
  expect_error(write_file_atomically(scratch / "none/file", "x"), ErrorCode::kNotFound,
               {"none/file"});
  expect_error(write_file_atomically(scratch.path(), "x"), ErrorCode::kIo, {"Is a directory"});
  expect_error(write_file_atomically(scratch / "", "x"), ErrorCode::kInvalidArgument,
               {"names no file"});
  EXPECT_FALSE(write_file_atomically("", "x").ok());
  EXPECT_FALSE(write_file_atomically("/proc/none", "x").ok());
  expect_error(write_file_atomically(scratch / std::string(300, 'n'), "x"), ErrorCode::kIo,
               {"too long"});
}

}  // namespace
}  // namespace qwen3guard::bytes
