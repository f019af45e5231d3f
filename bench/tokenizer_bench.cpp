// Encodes many texts: as fast as it can, for comparison with the reference
// (reference/compare_tokenizer.py).
//
//   tokenizer_bench DIRECTORY [--added-tokens] [--repeat N] < texts > encodings
//
// In: for each text its size (uint32, little-endian) and its bytes. Out: for each text the number
// of tokens (uint32), the ids (int32 each) and the offsets (two uint32 each). To standard error:
// one JSON object with the seconds of processor time of the fastest repetition, encoding alone.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tokens/tokenizer.h"

namespace {

using qwen3guard::tokens::Encoding;
using qwen3guard::tokens::Tokenizer;

std::vector<std::string_view> split_texts(std::string_view input) {
  std::vector<std::string_view> texts;
  while (input.size() >= 4) {
    std::uint32_t size = 0;
    std::memcpy(&size, input.data(), 4);
    texts.push_back(input.substr(4, size));
    input.remove_prefix(4 + texts.back().size());
  }
  return texts;
}

void put(std::string& out, std::uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string serialise(const std::vector<Encoding>& encodings) {
  std::string out;
  for (const Encoding& encoding : encodings) {
    put(out, static_cast<std::uint32_t>(encoding.ids.size()));
    for (const auto id : encoding.ids) put(out, static_cast<std::uint32_t>(id));
    for (const auto& span : encoding.offsets) {
      put(out, static_cast<std::uint32_t>(span.begin));
      put(out, static_cast<std::uint32_t>(span.end));
    }
  }
  return out;
}

/// Seconds of processor time of this one-threaded program: other work on the machine does not
/// count.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int argc, char** argv) {
  bool added_tokens = false;
  int repeat = 1;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--added-tokens") == 0) {
      added_tokens = true;
    } else if (std::strcmp(argv[i], "--repeat") == 0 && i + 1 < argc) {
      repeat = std::atoi(argv[++i]);
    }
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY [--added-tokens] [--repeat N] < texts > encodings\n",
                 argv[0]);
    return 2;
  }
  const double load_start = cpu_seconds();
  const auto tokenizer = Tokenizer::load(argv[1]);
  const double load_seconds = cpu_seconds() - load_start;
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return 1;
  }
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  const auto texts = split_texts(input);

  std::vector<Encoding> encodings;
  double best = 0;
  for (int round = 0; round < repeat; ++round) {
    encodings.clear();
    encodings.reserve(texts.size());
    const double start = cpu_seconds();
    for (const std::string_view text : texts) {
      auto encoding = (*tokenizer)->encode(text, added_tokens);
      if (!encoding.ok()) {
        std::fprintf(stderr, "%s\n", encoding.error().message.c_str());
        return 1;
      }
      encodings.push_back(std::move(encoding).value());
    }
    const double seconds = cpu_seconds() - start;
    if (round == 0 || seconds < best) best = seconds;
  }
  const std::string out = serialise(encodings);
  std::cout.write(out.data(), static_cast<std::streamsize>(out.size()));
  std::fprintf(stderr,
               "{\"texts\": %zu, \"bytes\": %zu, \"seconds\": %.6f, \"load_seconds\": %.4f}\n",
               texts.size(), input.size() - 4 * texts.size(), best, load_seconds);
  return 0;
}
