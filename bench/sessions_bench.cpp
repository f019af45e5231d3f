// What idle sessions cost the active ones.
//   build/bench/sessions_bench MODEL [active] [open] [rounds] [q8|q4|stored]
// Opens `active` sessions and lets each append one token at a time from a thread of its own; then
// the same with `open` sessions open in all, the others idle. Prints the latency of an append
// (median, p99), the memory of keys and values, and the ratio of the two p99.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "qwen3guard/guard.h"

namespace {

using namespace qwen3guard;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  std::exit(2);
}

double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::atof(line.c_str() + 6) / 1024;
  }
  return 0;
}

struct Latency {
  double median = 0, p99 = 0;  // milliseconds
};

// Every session appends `rounds` tokens, all of them at once.
Latency measure(std::vector<Session>& sessions, std::size_t active, std::size_t rounds) {
  std::vector<std::vector<double>> samples(active);
  std::vector<std::thread> threads;
  for (std::size_t s = 0; s < active; ++s) {
    threads.emplace_back([&, s] {
      for (std::size_t r = 0; r < rounds; ++r) {
        const auto id = static_cast<std::int32_t>(1000 + (s * 131 + r * 17) % 5000);
        const auto start = Clock::now();
        const auto judged = sessions[s].append_ids(std::span(&id, 1));
        if (!judged.ok()) fail(judged.error());
        samples[s].push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::vector<double> all;
  for (const auto& one : samples) all.insert(all.end(), one.begin(), one.end());
  std::sort(all.begin(), all.end());
  return {all[all.size() / 2], all[all.size() * 99 / 100]};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: sessions_bench MODEL [active] [open] [rounds] [q8|q4|stored]\n");
    return 2;
  }
  const auto number = [&](int i, std::size_t otherwise) {
    return argc > i ? static_cast<std::size_t>(std::max(1, std::atoi(argv[i]))) : otherwise;
  };
  const std::size_t active = number(2, 50), open = std::max(active, number(3, 500)),
                    rounds = number(4, 40);
  const std::string weights = argc > 5 ? argv[5] : "stored";
  GuardOptions options;
  options.weights = weights == "q8"   ? WeightFormat::kQ8
                    : weights == "q4" ? WeightFormat::kQ4
                                      : WeightFormat::kStored;
  const auto guard = Guard::load(argv[1], options);
  if (!guard.ok()) fail(guard.error());
  const double loaded = resident_mb();

  std::vector<Session> sessions;
  const auto open_until = [&](std::size_t count) {
    while (sessions.size() < count) {
      // Each conversation is another one: nothing is shared between their caches.
      std::string text = "Conversation " + std::to_string(sessions.size()) + ":";
      for (int w = 0; w < 40; ++w) text += " word" + std::to_string(w * 7 % 11);
      auto session = guard->open({{Role::kUser, text}}, Policy::strict());
      if (!session.ok()) fail(session.error());
      sessions.push_back(std::move(session).value());
    }
  };
  open_until(active);
  measure(sessions, active, 2);  // warm
  const Latency alone = measure(sessions, active, rounds);
  const double alone_mb = resident_mb();
  open_until(open);
  const Latency among = measure(sessions, active, rounds);
  std::printf("%s, weights %s, %zu rounds\n", argv[1], weights.c_str(), rounds);
  std::printf("%-28s %10s %10s %14s\n", "", "median ms", "p99 ms", "resident MB");
  std::printf("%4zu sessions, all active     %10.2f %10.2f %14.0f\n", active, alone.median,
              alone.p99, alone_mb);
  std::printf("%4zu sessions, %3zu active     %10.2f %10.2f %14.0f\n", open, active, among.median,
              among.p99, resident_mb());
  std::printf("p99 ratio %.2f; before any session %.0f MB\n", among.p99 / alone.p99, loaded);
  return 0;
}
