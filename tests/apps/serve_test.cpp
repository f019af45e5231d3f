// `qwen3guard serve` and `qwen3guard gateway`, run as a user runs them; what they do is tested in
// tests/server and tests/gateway.
#include <gtest/gtest.h>

#include <string>

#include "checkpoint_fixture.h"
#include "program.h"

namespace qwen3guard::apps::test {
namespace {

Environment environment() { return {{"QWEN3GUARD_MODEL", shared_checkpoint().string()}}; }

TEST(Serve, SaysWhereItListensAndEndsOnATerminationSignal) {
  const TemporaryDirectory directory;
  Environment with_file = environment();
  for (const char* signal : {"TERM", "INT"}) {
    with_file["OUT"] = (directory / signal).string();  // its own: the other's says "listening"
    with_file["SIGNAL"] = signal;
    const Outcome result = shell(
        "$QG serve --listen 127.0.0.1:0 >$OUT & server=$!; "
        "for i in $(seq 100); do grep -q listening $OUT && break; sleep 0.1; done; "
        "kill -$SIGNAL $server; wait $server",
        with_file);
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(read_text(directory / signal).rfind("listening on port ", 0), 0u);
    EXPECT_NE(result.err.find("\"event\":\"draining\""), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("\"event\":\"stopped\""), std::string::npos) << result.err;
  }
}

TEST(Serve, ReadsItsPolicyAgainAndKeepsTheOldOneWhenThatIsBroken) {
  const TemporaryDirectory directory;
  write_text(directory / "policy", R"({"version":1,"name":"first"})");
  Environment with_files = environment();
  with_files["OUT"] = (directory / "out").string();
  with_files["ERR"] = (directory / "err").string();
  with_files["POLICY"] = (directory / "policy").string();
  const Outcome result = shell(
      "wait_for() { for i in $(seq 100); do grep -q \"$1\" $2 && return; sleep 0.1; done; }; "
      "$QG serve --listen 127.0.0.1:0 --policy $POLICY >$OUT 2>$ERR & server=$!; "
      "wait_for listening $OUT; "
      "echo '{\"version\":1,\"name\":\"second\"}' >$POLICY; kill -HUP $server; "
      "wait_for second $ERR; "
      "echo '{' >$POLICY; kill -HUP $server; wait_for policy_kept $ERR; "
      "kill -TERM $server; wait $server",
      with_files);
  EXPECT_EQ(result.status, 0);
  const std::string log = read_text(directory / "err");
  EXPECT_NE(log.find("\"event\":\"policy_loaded\",\"message\":\"second\""), std::string::npos)
      << log;
  EXPECT_NE(log.find("\"event\":\"policy_kept\""), std::string::npos) << log;
}

TEST(Serve, RefusesWhatItCannotServe) {
  const TemporaryDirectory directory;
  write_text(directory / "keys", "short\n");
  const std::vector<Arguments> wrong = {
      {"serve", "--listen", "nonsense"},
      {"serve", "--listen", "127.0.0.1:99999"},
      {"serve", "--listen", "192.0.2.1:0"},
      {"serve", "--listen", "::1:8080"},
      {"serve", "--workers", "0"},
      {"serve", "--metrics-prefix", "a-b"},
      {"serve", "--mode", "gen"},
      {"serve", "--api-key-file", (directory / "nothing").string()},
      {"serve", "--api-key-file", (directory / "keys").string()},
  };
  for (const Arguments& arguments : wrong) {
    const Outcome result = run(arguments, "", environment());
    EXPECT_EQ(result.status, 2) << arguments[1] << " " << arguments[2];
    EXPECT_EQ(result.err.rfind("error: ", 0), 0u) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST(Gateway, SaysWhereItListensAndEndsOnATerminationSignal) {
  const TemporaryDirectory directory;
  Environment with_file = environment();
  with_file["OUT"] = (directory / "out").string();
  const Outcome result = shell(
      "$QG gateway --upstream http://127.0.0.1:9 --listen 127.0.0.1:0 >$OUT & server=$!; "
      "for i in $(seq 100); do grep -q listening $OUT && break; sleep 0.1; done; "
      "kill -TERM $server; wait $server",
      with_file);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.err.find("\"event\":\"stopped\""), std::string::npos) << result.err;
}

TEST(Gateway, RefusesWhatItCannotDo) {
  const TemporaryDirectory directory;
  write_text(directory / "key", "two words\n");
  const std::vector<Arguments> wrong = {
      {"gateway", "--mode", "hold"},
      {"gateway", "--upstream", "ftp://a"},
      {"gateway", "--upstream", "http://"},
      {"gateway", "--upstream", "http://a:99999"},
      {"gateway", "--upstream", "http://user@a"},
      {"gateway", "--upstream", "http://[::1"},
      {"gateway", "--upstream", "http://a", "--mode", "maybe"},
      {"gateway", "--upstream", "http://a", "--upstream-key-file", (directory / "key").string()},
      {"gateway", "--upstream", "https://a", "--upstream-ca", (directory / "key").string()},
  };
  for (const Arguments& arguments : wrong) {
    const Outcome result = run(arguments, "", environment());
    EXPECT_EQ(result.status, 2) << arguments.back();
    EXPECT_EQ(result.err.rfind("error: ", 0), 0u) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

}  // namespace
}  // namespace qwen3guard::apps::test
