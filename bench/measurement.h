#pragma once

// The measurements that every side of a comparison answers, so that one driver can ask them in
// turn.
//
// A side is a program that reads measurements from standard input, one a line, and answers each
// with one line of JSON; its first line says what it is (the answer to `info`):
//
//   prefill TOKENS                  a prompt read into an empty cache
//   decode DEPTH [STEPS]            16 steps of one token behind DEPTH tokens
//   batch SEQUENCES DEPTH [STEPS]   the same, one token of every sequence in each step
//   verdict TOTAL KEPT STEPS        a guard's answer: KEPT of TOTAL prompt tokens are in the cache
//   already,
//                                   the others are read, then STEPS tokens are decoded
//   memory SEQUENCES TOKENS         peak resident memory (VmHWM) once each sequence holds TOKENS;
//   of the
//                                   whole process, so ask a fresh one
//   info                            version, processor features, whatever explains the figures
//   quit                            or the end of the input
//
// Options behind the numbers: `repeats=5`; `head=0` to leave the language-model head out;
// `kv=unified` for one cache shared by all sequences instead of one each, where a side knows the
// difference. A line that cannot be measured is answered by {"error": …}.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace qwen3guard::bench {

using Json = nlohmann::ordered_json;

// Every measurement is this: behind `kept` tokens, read `prompt` tokens at once and then `steps`
// one by one, in each sequence.
struct Plan {
  int sequences = 1;
  int kept = 0;
  int prompt = 0;
  int steps = 0;
  bool head = true;
  bool unified = false;

  bool operator==(const Plan&) const = default;
  int tokens() const { return sequences * (prompt + steps); }
  int capacity() const { return sequences * (kept + prompt + steps); }
};

struct Request {
  std::string name;
  Plan plan;
  int repeats = 5;
  bool memory = false;
};

// One repeat of a plan: its prompt alone, and all of it.
struct Seconds {
  double prompt = 0;
  double total = 0;
};

// Throws std::invalid_argument.
inline Request parse(const std::string& line) {
  std::istringstream words(line);
  std::string verb, word;
  words >> verb;
  std::vector<int> numbers;
  Request request;
  request.name = line;
  Plan& plan = request.plan;
  while (words >> word) {
    if (word == "kv=unified" || word == "kv=split") {
      plan.unified = word == "kv=unified";
    } else if (word == "head=0" || word == "head=1") {
      plan.head = word == "head=1";
    } else {
      const bool repeats = word.rfind("repeats=", 0) == 0;
      const std::string digits = repeats ? word.substr(8) : word;
      if (digits.empty() || digits.size() > 6 ||
          digits.find_first_not_of("0123456789") != digits.npos)
        throw std::invalid_argument("not a number or an option: " + word);
      (repeats ? request.repeats : numbers.emplace_back()) = std::stoi(digits);
    }
  }
  const auto takes = [&](std::size_t least, std::size_t most) {
    if (numbers.size() < least || numbers.size() > most)
      throw std::invalid_argument("wrong count of numbers: " + line);
    numbers.resize(most, 16);  // the optional number is always STEPS
  };
  if (verb == "prefill") {
    takes(1, 1);
    plan.prompt = numbers[0];
  } else if (verb == "decode") {
    takes(1, 2);
    plan.kept = numbers[0];
    plan.steps = numbers[1];
  } else if (verb == "batch") {
    takes(2, 3);
    plan.sequences = numbers[0];
    plan.kept = numbers[1];
    plan.steps = numbers[2];
  } else if (verb == "verdict") {
    takes(3, 3);
    plan.kept = numbers[1];
    plan.prompt = numbers[0] - numbers[1];
    plan.steps = numbers[2];
  } else if (verb == "memory") {
    takes(2, 2);
    request.memory = true;
    plan.sequences = numbers[0];
    plan.steps = std::min(16, numbers[1]);
    plan.prompt = numbers[1] - plan.steps;
  } else {
    throw std::invalid_argument("unknown measurement: " + line);
  }
  if (plan.sequences < 1 || plan.sequences > 256 || plan.prompt < 0 ||
      plan.prompt + plan.steps < 1 || request.repeats < 1)
    throw std::invalid_argument("out of range: " + line);
  if (request.memory) request.repeats = 1;
  return request;
}

inline double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

// One value of /proc/self/status, in bytes.
inline std::uint64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(key + ":", 0) == 0) return std::stoull(line.substr(key.size() + 1)) * 1024;
  return 0;
}

// The answer to a request; a side adds what is its own.
inline Json report(const Request& request, const std::vector<Seconds>& repeats) {
  const Plan& plan = request.plan;
  Json json = {{"name", request.name}, {"tokens", plan.tokens()}};
  if (request.memory) {
    json["peak_bytes"] = status_bytes("VmHWM");
    json["anonymous_bytes"] = status_bytes("RssAnon");
    json["mapped_bytes"] = status_bytes("RssFile");
    return json;
  }
  std::vector<double> prompt, total;
  for (const Seconds& seconds : repeats) {
    prompt.push_back(seconds.prompt);
    total.push_back(seconds.total);
  }
  json["repeats"] = repeats.size();
  json["median_seconds"] = median(total);
  json["best_seconds"] = *std::min_element(total.begin(), total.end());
  if (plan.prompt > 0 && plan.steps > 0) json["median_prompt_seconds"] = median(prompt);
  json["tokens_per_second"] = plan.tokens() / median(total);
  return json;
}

// Answers `lines`, or standard input when there are none.
inline void serve(const Json& info, const std::vector<std::string>& lines,
                  const std::function<Json(const Request&)>& measure) {
  const auto print = [](const Json& json) { std::cout << json.dump() << std::endl; };
  const auto answer = [&](const std::string& line) {
    try {
      print(line == "info" ? info : measure(parse(line)));
    } catch (const std::exception& error) {
      print({{"error", error.what()}});
    }
  };
  print(info);
  for (const std::string& line : lines) answer(line);
  if (lines.empty())
    for (std::string line; std::getline(std::cin, line) && line != "quit";) answer(line);
}

}  // namespace qwen3guard::bench
