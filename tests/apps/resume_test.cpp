// Killed runs, continued: the output must equal that of a run that nobody disturbed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <string>

#include "checkpoint_fixture.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

class Resume : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string input;
    for (int i = 0; i < kLines; ++i) {
      if (i % 11 == 5) {
        input += "{broken\n";
      } else if (i % 3 == 0) {
        input += conversation_line(nullptr, {"Question " + std::to_string(i)});
      } else {
        std::string answer;
        for (int word = 0; word < 20 + i % 30; ++word)
          answer += "word" + std::to_string(word * i) + " ";
        input += conversation_line("id-" + std::to_string(i), {"Hi", answer});
      }
    }
    write_text(in_, input);
    const Outcome whole = run(arguments(whole_));
    ASSERT_EQ(whole.status, 1) << whole.err;
    expected_ = read_text(whole_);
    ASSERT_EQ(std::count(expected_.begin(), expected_.end(), '\n'), kLines);
  }

  Arguments arguments(const std::filesystem::path& output, const std::string& more = "") const {
    Arguments result = {"moderate",   "--model",  shared_checkpoint().string(),
                        in_.string(), "--output", output.string(),
                        "--threads",  "2"};
    if (!more.empty()) result.push_back(more);
    return result;
  }

  static constexpr int kLines = 400;
  const TemporaryDirectory directory_;
  const std::filesystem::path in_ = directory_ / "in.jsonl";
  const std::filesystem::path whole_ = directory_ / "whole.jsonl";
  const std::filesystem::path out_ = directory_ / "out.jsonl";
  std::string expected_;
};

TEST_F(Resume, AfterKillsTheOutputIsThatOfAnUninterruptedRun) {
  int killed = 0;
  for (int attempt = 0; attempt < 12; ++attempt) {
    std::error_code missing;
    const auto before = std::filesystem::exists(out_) ? std::filesystem::file_size(out_) : 0;
    const pid_t process = start(arguments(out_, "--resume"));
    // Kill it once it has written something more, wherever that leaves it.
    while (::kill(process, 0) == 0) {
      const auto size = std::filesystem::file_size(out_, missing);
      if (!missing && size > before + 2000) break;
      int status = 0;
      if (::waitpid(process, &status, WNOHANG) == process) {
        ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        EXPECT_EQ(read_text(out_), expected_);
        EXPECT_GT(killed, 0);
        return;
      }
    }
    ::kill(process, SIGKILL);
    if (wait_for(process) == 128 + SIGKILL) ++killed;
    const std::string so_far = read_text(out_);
    ASSERT_EQ(so_far, expected_.substr(0, so_far.size()));
  }
  EXPECT_GT(killed, 0);
  EXPECT_EQ(run(arguments(out_, "--resume")).status, 1);
  EXPECT_EQ(read_text(out_), expected_);
}

TEST_F(Resume, ATornLastLineIsWrittenAnew) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, expected_.size() / 2,
                                 expected_.size() - 1, expected_.size()}) {
    write_text(out_, expected_.substr(0, size));
    const Outcome result = run(arguments(out_, "--resume"));
    EXPECT_EQ(result.status, 1) << result.err;
    EXPECT_EQ(read_text(out_), expected_) << size;
  }
}

TEST_F(Resume, StartsWhereThereIsNoOutputYet) {
  EXPECT_EQ(run(arguments(out_, "--resume")).status, 1);
  EXPECT_EQ(read_text(out_), expected_);
}

TEST_F(Resume, RefusesTheOutputOfAnotherInput) {
  const std::string first = expected_.substr(0, expected_.find('\n') + 1);
  for (const std::string& other :
       {std::string(R"({"id": "other", "risk": "Safe"})") + "\n", std::string("{}\n"),
        std::string("[1]\n"), std::string("text\n"), first + first, expected_ + first}) {
    write_text(out_, other);
    const Outcome result = run(arguments(out_, "--resume"));
    EXPECT_EQ(result.status, 2) << other.substr(0, 80);
    EXPECT_NE(result.err.find("line"), std::string::npos) << result.err;
    EXPECT_EQ(read_text(out_), other);  // untouched
  }
}

TEST_F(Resume, AFinishedOutputIsNotLostByRunningAgain) {
  write_text(out_, expected_);
  const Outcome refused = run(arguments(out_));
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.err.find("--resume"), std::string::npos);
  EXPECT_EQ(read_text(out_), expected_);
  write_text(out_, "something else");
  EXPECT_EQ(run(arguments(out_, "--overwrite")).status, 1);
  EXPECT_EQ(read_text(out_), expected_);
}

}  // namespace
}  // namespace qwen3guard::apps::test
