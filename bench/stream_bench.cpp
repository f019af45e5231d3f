// How long a guard takes over an answer that arrives in pieces of a given size.
//   build/bench/stream_bench MODEL TOKENS [q8|q4|stored] [threads] CHUNK…
// Prints a line of JSON: for each chunk size the seconds from the first piece to the last verdict,
// of TOKENS tokens of fixed random ids after a short prompt, the faster of two runs after a
// warm-up.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "qwen3guard/guard.h"

namespace {

using namespace qwen3guard;

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  std::exit(2);
}

double seconds(const Guard& guard, std::size_t tokens, std::size_t chunk) {
  auto session = guard.open({{Role::kUser, "Tell me a story."}}, Policy::strict());
  if (!session.ok()) fail(session.error());
  std::vector<std::int32_t> ids(tokens);
  for (std::size_t i = 0; i < tokens; ++i)
    ids[i] = static_cast<std::int32_t>(1000 + i * 7919 % 20000);
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t at = 0; at < tokens; at += chunk) {
    const auto judged =
        session->append_ids(std::span(ids).subspan(at, std::min(chunk, tokens - at)));
    if (!judged.ok()) fail(judged.error());
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: stream_bench MODEL TOKENS q8|q4|stored THREADS CHUNK...\n");
    return 2;
  }
  const auto tokens = static_cast<std::size_t>(std::max(1, std::atoi(argv[2])));
  const std::string weights = argv[3];
  GuardOptions options;
  options.threads = std::max(1, std::atoi(argv[4]));
  options.weights = weights == "q8"   ? WeightFormat::kQ8
                    : weights == "q4" ? WeightFormat::kQ4
                                      : WeightFormat::kStored;
  const auto guard = Guard::load(argv[1], options);
  if (!guard.ok()) fail(guard.error());
  std::printf(
      "{\"backend\": \"%s\", \"weights\": \"%s\", \"threads\": %d, \"tokens\": %zu, \"seconds\": {",
      kernels::active_kernels().name, weights.c_str(), options.threads, tokens);
  for (int i = 5; i < argc; ++i) {
    const auto chunk = static_cast<std::size_t>(std::max(1, std::atoi(argv[i])));
    seconds(*guard, std::min<std::size_t>(tokens, 64), chunk);  // warm
    std::printf("%s\"%zu\": %.4f", i > 5 ? ", " : "", chunk, seconds(*guard, tokens, chunk));
  }
  std::printf("}}\n");
  return 0;
}
