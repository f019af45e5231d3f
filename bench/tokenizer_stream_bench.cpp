// How far stability lags behind a text that arrives in pieces, and what appending costs.
//
//   tokenizer_stream_bench DIRECTORY [FILE…]
//
// For built-in texts (English, Chinese, code, Korean, 1 MB of one letter, 1 MB of spaces) and for
// the given files, each fed in pieces of 4 bytes: the unstable tail after each piece in bytes,
// characters and tokens (median, 99th percentile, largest), and microseconds of processor time per
// piece, with and without asking for the provisional ids each time.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokens/text_stream.h"
#include "tokens/utf8.h"

namespace {

using namespace qwen3guard::tokens;

constexpr std::size_t kPiece = 4;

struct Lag {
  std::vector<std::size_t> values;
  void print(const char* unit) {
    std::sort(values.begin(), values.end());
    std::printf("  %s %zu / %zu / %zu", unit, values[values.size() / 2],
                values[values.size() * 99 / 100], values.back());
  }
};

std::string repeat(std::string_view text, std::size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += text;
  return out;
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Feeds the whole text; calls `look` with the stream and the bytes fed after each piece.
template <typename Look>
bool feed(const std::shared_ptr<const Tokenizer>& tokenizer, std::string_view text, Look look) {
  auto stream = TextStream::open(tokenizer, {});
  if (!stream.ok()) return false;
  for (std::size_t at = 0; at < text.size(); at += kPiece) {
    if (!stream->append(text.substr(at, kPiece)).ok()) return false;
    look(*stream, std::min(at + kPiece, text.size()));
  }
  return stream->finish({}).ok();
}

bool measure(const std::shared_ptr<const Tokenizer>& tokenizer, std::string_view name,
             std::string_view text) {
  const double pieces = static_cast<double>((text.size() + kPiece - 1) / kPiece);
  double start = cpu_seconds();
  if (!feed(tokenizer, text, [](const TextStream&, std::size_t) {})) return false;
  const double append = cpu_seconds() - start;

  Lag bytes, characters, ids;
  start = cpu_seconds();
  feed(tokenizer, text, [&](const TextStream& stream, std::size_t fed) {
    const std::string_view tail = text.substr(stream.stable_bytes(), fed - stream.stable_bytes());
    bytes.values.push_back(tail.size());
    characters.values.push_back(static_cast<std::size_t>(
        std::count_if(tail.begin(), tail.end(), [](char c) { return !is_continuation(c); })));
    const auto provisional = stream.provisional();
    ids.values.push_back(provisional.ok() ? provisional->ids.size() : 0);
  });
  const double both = cpu_seconds() - start;
  std::printf("%-28.*s", static_cast<int>(name.size()), name.data());
  bytes.print("bytes");
  characters.print("characters");
  ids.print("tokens");
  std::printf("  us/piece %.2f, with provisional %.2f\n", append / pieces * 1e6,
              both / pieces * 1e6);
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY [FILE...]\n", argv[0]);
    return 2;
  }
  const auto tokenizer = Tokenizer::load(argv[1]);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return 1;
  }
  std::printf("median / 99th percentile / largest\n");
  std::vector<std::pair<std::string, std::string>> texts = {
      {"English",
       repeat(
           "I'm sorry, but I can't help with that. Weather forecasting, on the other hand, isn't "
           "dangerous: it's a question of pressure, temperature and patience.\n\n",
           20'000)},
      {"Chinese",
       repeat("很抱歉，我无法提供这方面的帮助。如果您正在经历困难，请联系当地的心理援助热线，"
              "他们会为您提供专业的支持和建议。\n",
              20'000)},
      {"code",
       repeat("for (std::size_t i = 0; i < text.size(); ++i) {\n    if (text[i] == '\\n') {\n"
              "        lines.push_back(text.substr(start, i - start));\n    }\n}\n\n",
              20'000)},
      {"Korean",
       repeat("죄송하지만 그 요청은 도와드릴 수 없습니다. 다른 질문이 있으시면 말씀해 주세요.\n",
              20'000)},
      {"1 MB of one letter", std::string(1'000'000, 'a')},
      {"1 MB of spaces", std::string(1'000'000, ' ')},
      {"1 MB of Chinese, unpunctuated",
       repeat("我们今天讨论如何制作一个好吃的蛋糕然后分享给朋友", 1'000'000)},
      {"newline, then 20 kB of spaces", "\n" + std::string(20'000, ' ')},
      {"20 kB of combining marks", "a" + repeat("\xcc\x81", 20'000)},
  };
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    texts.push_back({argv[i], {std::istreambuf_iterator<char>(file), {}}});
  }
  for (const auto& [name, text] : texts) {
    if (!measure(*tokenizer, name, text)) {
      std::fprintf(stderr, "%s: not UTF-8\n", name.c_str());
      return 1;
    }
  }
  return 0;
}
