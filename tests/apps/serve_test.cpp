// `qwen3guard serve`, run as a user runs it; what it serves is tested in tests/server.
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
  with_file["OUT"] = (directory / "out").string();
  for (const char* signal : {"TERM", "INT"}) {
    with_file["SIGNAL"] = signal;
    const Outcome result = shell(
        "$QG serve --listen 127.0.0.1:0 >$OUT & server=$!; "
        "for i in $(seq 100); do grep -q listening $OUT && break; sleep 0.1; done; "
        "kill -$SIGNAL $server; wait $server",
        with_file);
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(read_text(directory / "out").rfind("listening on port ", 0), 0u);
    EXPECT_NE(result.err.find("\"event\":\"draining\""), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("\"event\":\"stopped\""), std::string::npos) << result.err;
  }
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

}  // namespace
}  // namespace qwen3guard::apps::test
